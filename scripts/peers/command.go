package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
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

// endPatience is how long the output of a process may be held open, by a child of it, after its end.
const endPatience = time.Second

// measure runs a program in dir and returns what it printed and cost, also when it ended with an error. The error then has
// the last words of its standard error. When ctx is done, the process and its children are killed.
//
// The program gets an environment of its own: nothing in the caller's may change one of the tools.
func measure(ctx context.Context, path string, c command, dir string) ([]byte, cost, error) {
	var stdout bytes.Buffer
	var stderr tail
	cmd := exec.CommandContext(ctx, path, c.args...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}, c.env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(c.stdin), &stdout, &stderr
	cmd.SysProcAttr = ownGroup()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = endPatience

	// The kernel kills a process with the thread that started it: this keeps the thread until the process has ended.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return nil, cost{}, err
	}
	resident := watchResident(cmd.Process.Pid)
	err := cmd.Wait()
	peak := resident.end(cmd.ProcessState)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	} else if err != nil {
		err = fmt.Errorf("%w; its last words:\n%s", err, &stderr)
	}
	return stdout.Bytes(), cost{cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), resident: peak}, err
}

// exited reports whether err says that a process ran and ended by itself, with whatever exit code.
func exited(err error) bool {
	var exit *exec.ExitError
	return err == nil || errors.As(err, &exit) && exit.Exited()
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 2 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-tailBytes):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}
