//go:build linux

package prefork

import (
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// mostWorkers is up to how many workers SIGTTIN adds to those that the configuration asks for.
func mostWorkers(configured int) int { return max(64, 2*configured) }

// signaled does what a signal to the master asks for. The table is in the comment of the package.
func (m *master) signaled(s os.Signal) {
	switch s {
	case unix.SIGTERM:
		how := stoppingGracefully
		switch now := time.Now(); {
		case m.termed.IsZero():
			m.termed = now
		case now.Sub(m.termed) >= insistence:
			how = stoppingQuickly
		}
		m.stop(how, s.String())
	case unix.SIGINT, unix.SIGQUIT:
		m.stop(stoppingQuickly, s.String())
	case unix.SIGHUP:
		m.again = true
		m.cfg.Log.Info("reload asked for", "waits", !m.serving || m.former != nil)
	case unix.SIGTTIN:
		m.resize(m.workers + 1)
	case unix.SIGTTOU:
		m.resize(m.workers - 1)
	case unix.SIGUSR2:
		m.upgrade(time.Now())
	case unix.SIGUSR1:
		m.reopenLog()
	}
}

// resize changes how many workers are wanted.
func (m *master) resize(workers int) {
	if workers < 1 || workers > mostWorkers(m.cfg.Workers) {
		m.cfg.Log.Warn("number of workers stays", "workers", m.workers, "least", 1, "most", mostWorkers(m.cfg.Workers))
		return
	}
	m.workers = workers
	m.board.words[headWanted].Store(uint64(workers))
	m.cfg.Log.Info("number of workers changed", "workers", workers)
}

// nextGeneration makes a generation of the program under a name.
func (m *master) nextGeneration(path string) (*generation, error) {
	program, err := openProgram(path)
	if err != nil {
		return nil, err
	}
	m.last++
	return &generation{number: m.last, program: program}, nil
}

// reloadStep begins a reload that was asked for, or ends one whose workers all serve. What lies
// between is the plan's, to which every worker of another generation than the current one is one
// that retires.
func (m *master) reloadStep() {
	if m.former != nil && m.renewed() {
		m.cfg.Log.Info("reloaded", "generation", m.current.number, "workers", m.workers)
		m.former.program.Close()
		m.former = nil
		m.reloadEnded("")
	}
	if !m.again || !m.serving || m.former != nil {
		return
	}
	m.again = false
	m.notifyReloading()
	next, err := m.nextGeneration(m.path)
	if err != nil {
		m.cfg.Log.Error("reload failed: the generation that serves goes on", "generation", m.current.number,
			"reason", err.Error())
		m.reloadEnded(err.Error())
		return
	}
	m.cfg.Log.Info("reloading", "generation", next.number, "program", m.path)
	m.former, m.current = m.current, next
	m.board.words[headGeneration].Store(next.number)
}

// reloadEnded puts on the board how a reload ended.
func (m *master) reloadEnded(failure string) {
	m.board.words[headGeneration].Store(m.current.number)
	m.board.reload().set(failure)
	m.board.words[headReloadEnd].Store(uint64(time.Now().UnixNano()))
	m.notify(daemon.SdNotifyReady)
}

// renewed reports whether all workers but those that leave are ready and of the current generation,
// and no other accepts.
func (m *master) renewed() bool {
	ready := 0
	for i, s := range m.slots {
		switch post, p := m.post(i), s.process; {
		case post.state == stateDraining && p.generation != m.current.number && !p.ready.IsZero() && !p.closed:
			return false
		case post.state == stateFree || post.state == stateDraining:
		case post.state != stateReady || p.generation != m.current.number:
			return false
		default:
			ready++
		}
	}
	return ready >= m.workers
}

// rollBack ends a reload to a generation that has failed: what served before it goes on, and is
// started again where it was replaced already. It reports whether there was such a reload.
func (m *master) rollBack(failed uint64, why string) bool {
	if m.former == nil || m.current.number != failed || m.phase != running {
		return false
	}
	m.cfg.Log.Error("reload failed: the generation before goes on", "generation", m.former.number,
		"failed", failed, "reason", why)
	m.current.program.Close()
	m.current, m.former = m.former, nil
	m.reloadEnded(why)
	now := time.Now()
	for _, s := range m.slots {
		if p := s.process; p != nil && p.generation == failed && p.ready.IsZero() && p.limited() {
			m.dismiss(p, orderQuick, now)
		}
	}
	return true
}

func (m *master) closePrograms() {
	m.current.program.Close()
	if m.former != nil {
		m.former.program.Close()
	}
}
