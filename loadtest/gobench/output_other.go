//go:build !linux

package gobench

import (
	"bufio"
	"context"
	"io"
	"os"
	"time"
)

// holds says that a process is not held by its output: other systems have no pipes of packets.
const holds = false

// output is the standard output of a test binary, line by line.
type output struct {
	r     *os.File
	lines chan string
}

// newOutput makes one, and returns where the process writes.
func newOutput() (*output, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	o := &output{r: r, lines: make(chan string, 16)}
	go func() {
		defer close(o.lines)
		for lines := bufio.NewReader(r); ; {
			line, err := lines.ReadString('\n')
			if line != "" {
				o.lines <- line
			}
			if err != nil {
				return
			}
		}
	}()
	return o, w, nil
}

// next waits for the next line. The error is io.EOF where nobody can write any more.
func (o *output) next(ctx context.Context, timeout time.Duration) (string, error) {
	late := time.NewTimer(timeout)
	defer late.Stop()
	select {
	case line, ok := <-o.lines:
		if !ok {
			return "", io.EOF
		}
		return line, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case <-late.C:
		return "", errTimeout
	}
}

func (o *output) close() {
	o.r.Close()
	for range o.lines { // until the reader has seen that
	}
}
