package gobench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"rampart/loadtest/host"
)

// errTimeout says that a piece of output took too long.
var errTimeout = errors.New("too late")

// process is a test binary that measures one benchmark, one measurement whenever it is told.
type process struct {
	cmd     *exec.Cmd
	out     *output
	timeout time.Duration // of a measurement
	reader  reader
	said    tail // on standard output, beside results
	errs    head // on standard error
	failure string
	waited  bool
	err     error // of the wait
}

// startProcess starts a binary. It measures, and then waits for the first call of next to end.
func startProcess(b Binary, t task, timeout time.Duration) (*process, error) {
	out, w, err := newOutput()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: b.command(t), out: out, timeout: timeout, reader: reader{printed: t.printed()}}
	p.cmd.Stdout, p.cmd.Stderr = w, &p.errs
	err = p.cmd.Start()
	w.Close()
	if err != nil {
		out.close()
		return nil, fmt.Errorf("start %s: %w", b.Path, err)
	}
	return p, nil
}

// next lets the process go on until it has measured once more, and returns what it measured. Then
// the process is held again, on systems where [holds] is true. The error says that there was no
// measurement, and why.
func (p *process) next(ctx context.Context) (Measurement, error) {
	for {
		piece, err := p.out.next(ctx, p.timeout)
		if err != nil {
			return Measurement{}, p.explain(ctx, err)
		}
		what, m := p.reader.read(piece)
		switch what {
		case numeric:
			return m, nil
		case failing:
			p.failure += piece
		case other:
			_, _ = p.said.Write([]byte(piece))
		}
	}
}

// finish lets the process go on to its end. The error says that it was none to be content with.
func (p *process) finish(ctx context.Context) error {
	for {
		piece, err := p.out.next(ctx, p.timeout)
		switch {
		case errors.Is(err, io.EOF):
			if err := p.wait(); err != nil {
				return p.explain(ctx, io.EOF)
			}
			return nil
		case err != nil:
			return p.explain(ctx, err)
		}
		if what, _ := p.reader.read(piece); what == failing {
			p.failure += piece
		} else {
			_, _ = p.said.Write([]byte(piece))
		}
	}
}

// explain says in words why there is no measurement.
func (p *process) explain(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, errTimeout):
		p.close()
		return fmt.Errorf("it did not end within %v (-timeout)", p.timeout)
	case !errors.Is(err, io.EOF):
		return err
	}
	ended := p.wait()
	switch {
	case p.failure != "":
		return fmt.Errorf("it failed: %s", strings.TrimSpace(p.failure))
	case ended == nil && len(p.errs.text) == 0:
		return errSkipped
	}
	return errors.New(ending(ended, p.said.text, p.errs.text))
}

// errSkipped says that a process measured nothing and was content.
var errSkipped = errors.New("it printed no result: it skips itself, or there is no such benchmark")

func (p *process) wait() error {
	if !p.waited {
		p.waited, p.err = true, p.cmd.Wait()
	}
	return p.err
}

// close ends the process, and all that it started, and lets go of its output.
func (p *process) close() {
	if p.out == nil {
		return
	}
	if !p.waited {
		kill(p.cmd)
		_ = p.wait()
	}
	p.out.close()
	p.out = nil
}

// pin keeps the process on a processor. Before its runtime has counted the processors, it would
// think that there is one only; it has counted them when there is a second thread.
func (p *process) pin(cpu int) error {
	for end := time.Now().Add(pinPatience); host.Threads(p.cmd.Process.Pid) == 1 && time.Now().Before(end); {
		time.Sleep(100 * time.Microsecond)
	}
	return host.PinProcess(p.cmd.Process.Pid, cpu)
}

// pinPatience is how long a process may take to start its second thread.
const pinPatience = time.Second
