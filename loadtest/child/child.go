// Package child starts processes that end when this one ends, in whatever way, ends them with all
// that they started, and keeps their last words ([Tail]).
package child

import (
	"cmp"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Process is a process that [Start] started.
type Process struct {
	cmd   *exec.Cmd
	group bool
	ended chan struct{} // closed when the process has been waited for
	err   error         // of the wait; set before ended is closed

	mu   sync.Mutex // guards over
	over bool       // it has ended, and its number is another process's as soon as it has been waited for
}

// Options say how a process is started and ended. The zero value: signals go to the process alone.
type Options struct {
	// Group: signals go to all processes that it started, too, and those that outlive it are
	// killed.
	Group bool
	// Orphaned is what the process is sent when this one dies, on Linux. 0: SIGTERM.
	Orphaned syscall.Signal
	// Canceled is what the process is sent when the context of its command is done. The command
	// then is of [exec.CommandContext]. 0: what the command says itself.
	Canceled syscall.Signal
	// Start calls what starts the process, on the thread that does it. nil: it is called at once.
	Start func(func() error) error
	// Begun is called as soon as the process runs, and Ended when it has been waited for and before
	// anybody hears of that. nil: nothing is.
	Begun, Ended func()
}

// Start starts a command that has not been started, in a process group of its own: Ctrl-C at the
// terminal is for this process, which decides what ends when.
func Start(cmd *exec.Cmd, o Options) (*Process, error) {
	p := &Process{cmd: cmd, group: o.Group, ended: make(chan struct{})}
	cmd.SysProcAttr = ownGroup(cmp.Or(o.Orphaned, syscall.SIGTERM))
	if o.Canceled != 0 {
		cmd.Cancel = func() error {
			if !p.Signal(o.Canceled) {
				return os.ErrProcessDone
			}
			return nil
		}
	}
	start := cmd.Start
	if o.Start != nil {
		start = func() error { return o.Start(cmd.Start) }
	}
	started := make(chan error)
	go func() {
		// The kernel sends the signal of a parent's death when the parent's thread ends, not the
		// process. This goroutine keeps its thread until the process has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := start(); err != nil {
			started <- err
			return
		}
		if o.Begun != nil {
			o.Begun()
		}
		started <- nil
		p.reap()
		if o.Ended != nil {
			o.Ended()
		}
		close(p.ended)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// reap waits for the end of the process. Whoever of its group outlived it has nothing left to do,
// and is killed before the process has been waited for: until then no other process, and no other
// group, can have its number.
func (p *Process) reap() {
	ended := awaitExit(p.PID())
	if !ended {
		p.err = p.cmd.Wait()
	}
	p.mu.Lock()
	if ended && p.group {
		_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
	}
	p.over = true
	p.mu.Unlock()
	if ended {
		p.err = p.cmd.Wait()
	}
}

// PID is the number of the process. It is another one's some time after the end.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has been waited for.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait waits for the end of the process, and returns what [exec.Cmd.Wait] says of it.
func (p *Process) Wait() error {
	<-p.ended
	return p.err
}

// State is how the process ended, as people read it. It waits for the end.
func (p *Process) State() string {
	if err := p.Wait(); err != nil {
		return err.Error()
	}
	return "exit status 0"
}

// Signal sends a signal, and reports whether the process was still there to get it. What is killed
// is killed with all that it started.
func (p *Process) Signal(sig syscall.Signal) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return false
	}
	to := p.PID()
	if p.group || sig == syscall.SIGKILL {
		to = -to
	}
	return syscall.Kill(to, sig) == nil
}

// Stop asks the process to end, waits for that, and kills it where it does not end within patience.
// It reports whether the process was there to be asked, and whether it had to be killed.
func (p *Process) Stop(patience time.Duration) (asked, killed bool) {
	asked = p.Signal(syscall.SIGTERM)
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-p.ended:
	case <-late.C:
		killed = p.Signal(syscall.SIGKILL)
		<-p.ended
	}
	return asked, killed
}
