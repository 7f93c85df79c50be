package k6

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"rampart/loadtest/child"
)

// process is one run of k6.
type process struct {
	*child.Process // once it has been started
	cmd            *exec.Cmd
	stdout         bytes.Buffer // complete when the process has ended
	stderr         *output
}

// newProcess prepares a run of the k6 at path with a script. When ctx is done, it is interrupted,
// and killed when it does not end within the WaitDelay of its cmd.
func newProcess(ctx context.Context, path string, script io.Reader, token string) *process {
	p := &process{stderr: newOutput(token)}
	// No REST API, so that several k6 can run side by side; nothing on the terminal; no report to k6's
	// makers.
	p.cmd = exec.CommandContext(ctx, path, "run", "--quiet", "--no-color", "--no-usage-report", "--address", "")
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = script, &p.stdout, p.stderr
	return p
}

// start starts the process. enter is called when it runs, leave when it has been waited for.
func (p *process) start(enter, leave func(*process)) error {
	config, err := emptyConfig()
	if err != nil {
		return err
	}
	p.cmd.Args = append(p.cmd.Args, "--config", config, "-")
	p.Process, err = child.Start(p.cmd, child.Options{
		Group:    true, // what is called k6 may be a script around it
		Orphaned: syscall.SIGKILL,
		Canceled: syscall.SIGINT,
		Begun:    func() { enter(p) },
		Ended: func() {
			os.Remove(config)
			leave(p)
		},
	})
	if err != nil {
		os.Remove(config)
	}
	return err
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
	return "ended: " + p.Wait().Error()
}
