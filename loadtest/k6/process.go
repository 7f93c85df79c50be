package k6

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is one run of k6.
type process struct {
	cmd    *exec.Cmd
	stdout bytes.Buffer // complete when ended is closed
	stderr *output
	ended  chan struct{} // closed when the process has been waited for
	err    error         // of the wait; set before ended is closed
}

// newProcess prepares a run of the k6 at path with a script. When ctx is done, it is interrupted, and killed when it does
// not end within the WaitDelay of its cmd.
func newProcess(ctx context.Context, path string, script io.Reader, token string) *process {
	p := &process{stderr: newOutput(token), ended: make(chan struct{})}
	// No REST API, so that several k6 can run side by side; nothing on the terminal; no report to k6's makers.
	p.cmd = exec.CommandContext(ctx, path, "run", "--quiet", "--no-color", "--no-usage-report", "--address", "")
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = script, &p.stdout, p.stderr
	p.cmd.SysProcAttr = ownGroup()
	// The whole group, because what is called k6 may be a script around it.
	p.cmd.Cancel = func() error { return syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT) }
	return p
}

// start starts the process. enter is called when it runs, leave when it has been waited for.
func (p *process) start(enter, leave func(*process)) error {
	config, err := emptyConfig()
	if err != nil {
		return err
	}
	p.cmd.Args = append(p.cmd.Args, "--config", config, "-")
	started := make(chan error)
	go func() {
		// The kernel sends the signal of a parent's death when the parent's thread ends, not the process. This
		// goroutine keeps its thread until k6 has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := p.cmd.Start(); err != nil {
			os.Remove(config)
			started <- err
			return
		}
		enter(p)
		started <- nil
		p.err = p.cmd.Wait()
		// Whoever of the group outlived k6 has nothing left to do.
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		os.Remove(config)
		leave(p)
		close(p.ended)
	}()
	return <-started
}

// emptyConfig makes a configuration file that sets nothing, to keep k6 from reading the user's.
func emptyConfig() (string, error) {
	f, err := os.CreateTemp("", "rampart-k6-*.json")
	if err != nil {
		return "", err
	}
	_, err = f.WriteString("{}\n")
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// state is how the process ended.
func (p *process) state() string {
	if code := p.cmd.ProcessState.ExitCode(); code > 0 {
		return fmt.Sprintf("exited with %d", code)
	}
	return "ended: " + p.err.Error()
}
