package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"rampart/loadtest/child"
)

// command is how a tool is called.
type command struct {
	args  []string
	env   []string // beyond what every tool gets
	stdin string
}

// cost is what a process cost.
type cost struct {
	cpu      time.Duration // user and system, of the process and of its children that it has waited for
	resident int64         // highest resident memory, in bytes
}

// endPatience is how long the output of a process may be held open, by a child of it, after its
// end.
const endPatience = time.Second

// measure runs a program in dir and returns what it printed and cost, also when it ended with an
// error. The error then has the last words of its standard error. When ctx is done, the process and
// its children are killed.
//
// The program gets an environment of its own: nothing in the caller's may change one of the tools.
func measure(ctx context.Context, path string, c command, dir string) ([]byte, cost, error) {
	var stdout bytes.Buffer
	var stderr child.Tail
	cmd := exec.CommandContext(ctx, path, c.args...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}, c.env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(c.stdin), &stdout, &stderr
	cmd.WaitDelay = endPatience
	process, err := child.Start(cmd, child.Options{Group: true, Canceled: syscall.SIGKILL})
	if err != nil {
		return nil, cost{}, err
	}
	resident := watchResident(process.PID())
	err = process.Wait()
	peak := resident.end(cmd.ProcessState)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	} else if err != nil {
		err = fmt.Errorf("%w; its last words:\n%s", err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), cost{cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), resident: peak}, err
}

// exited reports whether err says that a process ran and ended by itself, with whatever exit code.
func exited(err error) bool {
	var exit *exec.ExitError
	return err == nil || errors.As(err, &exit) && exit.Exited()
}
