package k6

import (
	"errors"
	"os"
	"time"

	"rampart/loadtest/host"
)

// CPU is the processor time, user and system, that the k6 processes of this engine have used so
// far, those that have ended included. It never goes back. The error wraps errors.ErrUnsupported
// where a system does not tell.
func (e *Engine) CPU() (time.Duration, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	sum := e.spent
	for p := range e.running {
		used, err := host.ProcessCPU(p.cmd.Process.Pid)
		if err != nil && !errors.Is(err, os.ErrProcessDone) {
			return 0, err
		}
		sum += used
	}
	// A process that ends is for a moment in neither sum.
	e.shown = max(e.shown, sum)
	return e.shown, nil
}

func (e *Engine) enter(p *process) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running[p] = true
}

func (e *Engine) leave(p *process) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.running, p)
	e.spent += p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}
