//go:build linux

package prefork

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// bootAttempts is how many workers in a row may fail to become ready before the first start is given up.
	bootAttempts = 3
	// forced is how long a worker has to end after it was told to do so at once.
	forced = 2 * time.Second
)

// phase is how far the master is on its way out.
type phase int

const (
	running phase = iota
	stoppingGracefully
	stoppingQuickly
)

// master holds everything the master knows. One goroutine, that of Run, owns all of it; the others only send
// events.
type master struct {
	cfg        Config
	generation uint64 // of the workers being started
	addr       net.Addr
	socket     int
	program    *os.File
	board      *scoreboard
	boardFile  *os.File
	slots      []slot

	phase        phase
	adopts       bool  // this process is given the children that others leave
	serving      bool  // the first start is over: all workers were ready at the same time
	bootFailures int   // workers in a row that were never ready
	err          error // what Run returns

	events    chan event
	listeners sync.WaitGroup // the goroutines that send to events
}

// slot is a place for a worker.
type slot struct {
	process  *process  // nil: nobody here
	startAt  time.Time // without a process: when to start one; zero: not at all
	failures int       // workers in a row that died here without having been healthy
}

// event is what a worker did.
type event struct {
	process *process
	report  report // 0: it ended
}

// Run is the master: it listens on cfg.Addr, starts the workers, replaces those that die, and returns when it
// has been told to stop and all of them are gone. No process is left when it returns.
//
// It returns nil after a stop that was asked for by a signal or by ctx, even if workers had to be killed (the log
// says so), a *BootError if the workers never came up, and an error that names the address before any worker is
// started if it cannot listen there. It takes over SIGTERM, SIGINT and SIGQUIT until it returns. Only one Run
// at a time makes sense in a process.
func Run(ctx context.Context, cfg Config) error {
	if os.Getenv(workerEnv) != "" {
		// A worker that became a master would start workers that become masters.
		return fmt.Errorf("prefork: Run in a worker: call Attach first (%s is set)", workerEnv)
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	m := &master{cfg: cfg, generation: 1, events: make(chan event)}
	if m.socket, m.addr, err = openSocket(cfg.Addr); err != nil {
		return err
	}
	defer unix.Close(m.socket)
	if m.program, err = openProgram(); err != nil {
		return err
	}
	defer m.program.Close()
	// A spare slot for each worker, so that all can be replaced while their predecessors still finish.
	m.slots = make([]slot, 2*cfg.Workers)
	if m.board, m.boardFile, err = newScoreboard(len(m.slots), cfg.Gauges, cfg.Counters); err != nil {
		return err
	}
	defer m.boardFile.Close()
	defer m.board.close()
	m.board.words[headMaster].Store(uint64(os.Getpid()))
	m.board.words[headStarted].Store(uint64(time.Now().UnixNano()))
	m.board.words[headGrace].Store(uint64(cfg.Grace))

	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT)
	defer signal.Stop(signals)
	children := make(chan os.Signal, 1) // apart, so that they cannot crowd out the others
	if m.adopts = adopts(); m.adopts {
		signal.Notify(children, unix.SIGCHLD)
		defer signal.Stop(children)
	}
	return m.run(ctx, signals, children)
}

func (m *master) run(ctx context.Context, signals, children <-chan os.Signal) error {
	canceled := ctx.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		m.step(time.Now())
		if m.phase != running && m.living() == 0 {
			break
		}
		timer.Reset(time.Until(m.next(time.Now())))
		select {
		case <-timer.C:
		case e := <-m.events:
			m.handle(e)
		case s := <-signals:
			if s == unix.SIGTERM {
				m.stop(stoppingGracefully, s.String())
			} else {
				m.stop(stoppingQuickly, s.String())
			}
		case <-children:
			m.reapStrangers()
		case <-canceled:
			canceled = nil
			m.stop(stoppingGracefully, "canceled")
		}
	}
	go func() {
		m.listeners.Wait()
		close(m.events)
	}()
	for range m.events { // reports of processes that are gone
	}
	m.cfg.Log.Info("stopped")
	return m.err
}

// step does what is due at now.
func (m *master) step(now time.Time) {
	for _, s := range m.slots {
		if s.process != nil {
			m.check(s.process, now)
		}
	}
	if m.phase != running {
		return
	}
	m.staff(now)
	for i := range m.slots {
		if at := m.slots[i].startAt; !at.IsZero() && !at.After(now) {
			m.startWorker(i, now)
		}
	}
}

// next is when something will be due although nothing happens.
func (m *master) next(now time.Time) time.Time {
	at := now.Add(time.Hour)
	soonest := func(t time.Time) {
		if !t.IsZero() && t.Before(at) {
			at = t
		}
	}
	for _, s := range m.slots {
		soonest(s.startAt)
		if p := s.process; p != nil {
			soonest(p.killAt)
			if p.ready.IsZero() && p.limited() {
				soonest(p.started.Add(m.cfg.BootTimeout))
			}
		}
	}
	if m.phase == running && m.cfg.Timeout > 0 {
		soonest(now.Add(min(m.cfg.Timeout/4, time.Second)))
	}
	return at
}

// check ends a process that has outlived one of its limits.
func (m *master) check(p *process, now time.Time) {
	if !p.killAt.IsZero() && !now.Before(p.killAt) {
		p.killAt = time.Time{}
		m.cfg.Log.Warn("killing worker", "slot", p.slot, "pid", p.pid(), "reason", p.overdue())
		_ = p.cmd.Process.Kill() // if it has ended already, its exit is on the way
		return
	}
	if m.phase != running || !p.limited() {
		return
	}
	if p.ready.IsZero() && now.Sub(p.started) >= m.cfg.BootTimeout {
		m.abort(p, now, fmt.Sprintf("not ready after %s", m.cfg.BootTimeout))
		return
	}
	oldest := int64(m.board.slot(p.slot)[slotOldest].Load())
	if m.cfg.Timeout > 0 && oldest != 0 {
		if age := time.Duration(monotonic() - oldest); age > m.cfg.Timeout {
			m.abort(p, now, fmt.Sprintf("a request runs for %s, more than %s", age.Round(time.Millisecond), m.cfg.Timeout))
		}
	}
}

func (m *master) abort(p *process, now time.Time, why string) {
	m.cfg.Log.Error("aborting worker", "slot", p.slot, "pid", p.pid(), "reason", why)
	p.abort(now, why)
}

// staff carries out the plan.
func (m *master) staff(now time.Time) {
	posts := make([]post, len(m.slots))
	for {
		for i := range m.slots {
			posts[i] = m.post(i)
		}
		switch do, i := plan(posts, m.cfg.Workers); do {
		case rest:
			return
		case start:
			m.slots[i].startAt = now
			m.board.setState(i, stateWaiting)
		case cancel:
			m.slots[i] = slot{}
			m.board.setState(i, stateFree)
		case leave:
			p := m.slots[i].process
			m.cfg.Log.Info("worker is replaced", "slot", i, "pid", p.pid())
			m.dismiss(p, orderLeave, now)
		}
	}
}

func (m *master) post(i int) post {
	p := m.slots[i].process
	switch {
	case p == nil && m.slots[i].startAt.IsZero():
		return post{state: stateFree}
	case p == nil:
		return post{state: stateWaiting}
	case p.leaving:
		return post{state: stateDraining}
	case p.ready.IsZero():
		return post{state: stateStarting}
	}
	return post{state: stateReady, retire: p.retire}
}

// dismiss tells a process to go, and when it will be killed if it does not.
func (m *master) dismiss(p *process, o order, now time.Time) {
	p.leaving = true
	send(p.control, o)
	if o == orderQuick {
		p.killBy(now.Add(forced))
	} else {
		p.killBy(now.Add(m.cfg.Grace))
	}
}

func (m *master) startWorker(i int, now time.Time) {
	s := &m.slots[i]
	s.startAt = time.Time{}
	words := m.board.slot(i)
	words[slotLimit].Store(0)
	if m.cfg.MaxRequests > 0 {
		words[slotLimit].Store(uint64(m.cfg.MaxRequests + rand.IntN(m.cfg.MaxRequestsJitter+1)))
	}
	words[slotGeneration].Store(m.generation)
	words[slotStarted].Store(uint64(now.UnixNano()))
	m.board.setState(i, stateStarting)
	p, err := m.spawn(i)
	if err != nil {
		m.board.retire(i)
		m.failed(i, 0, err.Error(), err, now)
		return
	}
	words[slotPID].Store(uint64(p.pid()))
	if s.failures > 0 {
		words[slotRestarts].Add(1)
	}
	s.process = p
	m.listeners.Go(func() {
		receive(p.control, func(r report) { m.events <- event{p, r} })
	})
	m.listeners.Go(func() {
		awaitExit(p.pid())
		m.events <- event{process: p}
	})
	m.cfg.Log.Debug("worker started", "slot", i, "pid", p.pid())
}

func (m *master) handle(e event) {
	now := time.Now()
	p := e.process
	if m.slots[p.slot].process != p {
		return // ended; its last report came late
	}
	switch e.report {
	case 0:
		m.reap(p, now)
		m.reapStrangers() // who died behind it
	case reportReady:
		m.ready(p, now)
	case reportRetire:
		p.retire = true
	}
}

// ready takes a worker into service. During the first start nobody serves until all are ready: a client that
// came early would find few workers to spread its connections over, and they stay where they are.
func (m *master) ready(p *process, now time.Time) {
	if !p.ready.IsZero() || !p.limited() {
		return
	}
	p.ready = now
	m.bootFailures = 0
	m.cfg.Log.Debug("worker ready", "slot", p.slot, "pid", p.pid(), "after", since(p.started, now))
	if m.serving {
		m.board.setState(p.slot, stateReady)
		send(p.control, orderServe)
		return
	}
	var crew []*process
	for _, s := range m.slots {
		if s.process != nil && !s.process.ready.IsZero() {
			crew = append(crew, s.process)
		}
	}
	if len(crew) < m.cfg.Workers {
		return
	}
	m.serving = true
	for _, p := range crew { // all are on the board before the first looks there
		m.board.setState(p.slot, stateReady)
	}
	for _, p := range crew {
		send(p.control, orderServe)
	}
	m.cfg.Log.Info("all workers ready", "workers", len(crew), "addr", m.addr.String())
	m.cfg.Ready(m.addr)
}

// reap waits for a process that has ended, accounts for it and decides on its slot. The order of the
// first steps is that of scoreboard.cpuTime.
func (m *master) reap(p *process, now time.Time) {
	s := &m.slots[p.slot]
	words := m.board.slot(p.slot)
	words[slotPID].Store(0)
	err := p.cmd.Wait()
	status := p.cmd.ProcessState
	if status != nil {
		used := status.SysUsage().(*syscall.Rusage)
		words[slotCPU].Add(uint64(used.Utime.Nano() + used.Stime.Nano()))
	}
	p.control.Close()
	s.process = nil
	m.board.retire(p.slot)

	attrs := []any{"slot", p.slot, "pid", p.pid(), "status", status.String(), "uptime", since(p.started, now)}
	if p.why != "" {
		attrs = append(attrs, "reason", p.why)
	}
	if p.leaving {
		s.failures = 0
		m.board.setState(p.slot, stateFree)
		level := slog.LevelDebug
		if err != nil {
			level = slog.LevelWarn
		}
		m.cfg.Log.Log(context.Background(), level, "worker left", attrs...)
		return
	}
	m.cfg.Log.Error("worker died", attrs...)
	if p.ready.IsZero() {
		reason := status.String()
		if p.why != "" {
			reason = p.why
		}
		m.failed(p.slot, p.pid(), reason, err, now)
		return
	}
	if now.Sub(p.ready) >= healthy {
		s.failures = 0
	}
	m.restart(p.slot, now)
}

// failed is what follows a worker that was never ready: it is started again, or the first start is given up.
func (m *master) failed(slot, pid int, reason string, err error, now time.Time) {
	m.bootFailures++
	if !m.serving && m.bootFailures >= bootAttempts {
		m.err = &BootError{Attempts: m.bootFailures, PID: pid, Reason: reason, Err: err}
		m.stop(stoppingQuickly, "the workers do not come up")
		return
	}
	m.restart(slot, now)
}

// restart has the worker of a slot started again after a delay.
func (m *master) restart(i int, now time.Time) {
	s := &m.slots[i]
	s.failures++
	wait := delay(s.failures, rand.Float64())
	s.startAt = now.Add(wait)
	m.board.setState(i, stateWaiting)
	m.cfg.Log.Info("worker will be started again", "slot", i, "delay", wait.Round(time.Millisecond), "failures", s.failures)
}

// stop begins to stop, or goes on to do it more quickly.
func (m *master) stop(how phase, why string) {
	if how <= m.phase {
		return
	}
	m.phase = how
	now := time.Now()
	m.cfg.Log.Info("stopping", "reason", why, "graceful", how == stoppingGracefully, "workers", m.living())
	if how == stoppingGracefully && m.serving {
		if err := refuseNew(m.socket); err != nil {
			m.cfg.Log.Debug("no socket filter: a client that connects during the stop may be reset", "error", err)
		}
	}
	for i := range m.slots {
		s := &m.slots[i]
		switch p := s.process; {
		case p == nil:
			s.startAt = time.Time{}
			m.board.setState(i, stateFree)
		case how == stoppingQuickly || !m.serving || p.ready.IsZero():
			m.dismiss(p, orderQuick, now) // has nothing to finish, or is not to
		case !p.leaving:
			m.dismiss(p, orderDrain, now)
		}
	}
}

func (m *master) living() int {
	n := 0
	for _, s := range m.slots {
		if s.process != nil {
			n++
		}
	}
	return n
}

func since(t, now time.Time) time.Duration { return now.Sub(t).Round(time.Millisecond) }
