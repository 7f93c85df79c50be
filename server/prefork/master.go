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

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

const (
	// bootAttempts is how many workers in a row may fail to become ready before the first start is
	// given up.
	bootAttempts = 3
	// forced is how long a worker has to end after it was told to do so at once.
	forced = 2 * time.Second
	// overtime is how long a worker has to end after its grace is over. It cuts off what it has
	// left by itself and says how much that was; a master that killed it at the same moment would
	// not let it.
	overtime = time.Second
)

// masterSignals are those that mean something to a master. None of them may have its default
// effect, which is to end the process without a word, or to stop it.
var masterSignals = []os.Signal{
	unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGUSR1, unix.SIGUSR2,
}

// phase is how far the master is on its way out.
type phase int

const (
	running phase = iota
	stoppingGracefully
	stoppingQuickly
)

// master holds everything the master knows. One goroutine, that of Run, owns all of it; the others
// only send events.
type master struct {
	cfg       Config
	workers   int // wanted
	addr      net.Addr
	socket    int
	board     *scoreboard
	boardFile *os.File
	slots     []slot

	path    string      // of the program, for the next generation
	last    uint64      // number of the generation that was made last
	current *generation // of the workers that are started
	former  *generation // during a reload, what to go back to; else nil
	again   bool        // another reload is to follow

	pidFile     *pidFile    // nil: none
	predecessor *os.File    // a master that leaves when this one serves; nil: none, or it was told
	successor   *successor  // a master that is to take over; nil: none
	succession  chan report // of the successor
	done        chan struct{}

	watchdog   time.Duration // how often systemd wants to hear from the master; 0: not at all
	watchdogAt time.Time     // when next

	phase        phase
	termed       time.Time // of the first SIGTERM
	adopts       bool      // this process is given the children that others leave
	due          time.Time // when the master was to look again
	awake        int64     // since when it does so in time, monotonic
	serving      bool      // the first start is over: all workers were ready at the same time
	bootFailures int       // workers in a row that were never ready
	err          error     // what Run returns

	events    chan event
	listeners sync.WaitGroup // the goroutines that send to events
}

// generation is a program file and the workers that are started from it.
type generation struct {
	number  uint64
	program *os.File
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

// Run is the master: it listens on cfg.Addr, starts the workers, replaces those that die, and
// returns when it has been told to stop and all of them are gone. No process is left when it
// returns.
//
// It returns nil after a stop that was asked for by a signal or by ctx, even if workers had to be
// killed (the log says so), a *BootError if the workers never came up, and an error that names the
// address before any worker is started if it cannot listen there. It takes over SIGTERM, SIGINT and
// SIGQUIT until it returns. Only one Run at a time makes sense in a process.
func Run(ctx context.Context, cfg Config) error {
	if os.Getenv(workerEnv) != "" {
		// A worker that became a master would start workers that become masters.
		return fmt.Errorf("prefork: Run in a worker: call Attach first (%s is set)", workerEnv)
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	m := &master{
		cfg: cfg, workers: cfg.Workers, socket: -1,
		events: make(chan event), succession: make(chan report), done: make(chan struct{}),
	}
	defer close(m.done)
	if m.path, err = programPath(); err != nil {
		return err
	}
	if m.cfg.LogFile, err = logPath(cfg.LogFile); err != nil {
		return err
	}
	defer m.closeSocket()
	if err := m.acquire(); err != nil {
		return err
	}
	defer m.pidFile.release()
	if err := openLog(m.cfg.LogFile); err != nil { // only now: who takes what is another master's is told on the terminal
		return err
	}
	if m.current, err = m.nextGeneration(runningProgram); err != nil {
		return err
	}
	defer m.closePrograms()
	// A spare slot for each worker, so that all can be replaced while their predecessors still
	// finish.
	m.slots = make([]slot, 2*mostWorkers(cfg.Workers))
	if m.board, m.boardFile, err = newScoreboard(len(m.slots), cfg.Gauges, cfg.Counters); err != nil {
		return err
	}
	defer m.boardFile.Close()
	defer m.board.close()
	m.board.words[headGeneration].Store(m.current.number)
	m.board.words[headWanted].Store(uint64(m.workers))
	m.board.words[headMaster].Store(uint64(os.Getpid()))
	m.board.words[headStarted].Store(uint64(time.Now().UnixNano()))
	m.board.words[headGrace].Store(uint64(cfg.Grace))

	signals, unsubscribe := subscribe(masterSignals...)
	defer unsubscribe()
	children := make(chan os.Signal, 1) // apart, so that they cannot crowd out the others
	if m.adopts = adopts(); m.adopts {
		signal.Notify(children, unix.SIGCHLD)
		defer signal.Stop(children)
	}
	m.startWatchdog()
	return m.run(ctx, signals, children)
}

// acquire gets hold of what there can be one of only: the pid file and the socket.
func (m *master) acquire() error {
	in, err := inherit(m.cfg.PIDFile)
	m.socket, m.addr, m.predecessor, m.pidFile = in.socket, in.addr, in.predecessor, in.pidFile
	if err != nil {
		return err
	}
	if m.pidFile == nil && m.cfg.PIDFile != "" {
		if m.pidFile, err = openPIDFile(m.cfg.PIDFile); err != nil {
			return err
		}
	}
	if m.socket < 0 {
		if m.socket, m.addr, err = openSocket(m.cfg.Addr); err != nil {
			m.pidFile.release()
			return err
		}
	}
	return nil
}

func (m *master) run(ctx context.Context, signals, children <-chan os.Signal) error {
	canceled := ctx.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		m.step(time.Now())
		if m.phase != running && m.living() == 0 && (m.successor == nil || m.successor.serves) {
			break
		}
		m.due = m.next(time.Now())
		timer.Reset(time.Until(m.due))
		select {
		case <-timer.C:
		case e := <-m.events:
			m.handle(e)
		case s := <-signals:
			m.signaled(s)
		case r := <-m.succession:
			m.succeeded(r)
			m.reapStrangers()
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
	if now.Sub(m.due) > lateness {
		m.awake = monotonic()
	}
	for _, s := range m.slots {
		if s.process != nil {
			m.check(s.process, now)
		}
	}
	m.checkSuccessor(now)
	m.feedWatchdog(now)
	if m.phase != running {
		return
	}
	if !m.serving {
		m.open()
	}
	m.reloadStep()
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
	if m.watchdog > 0 && m.serving {
		soonest(later(m.watchdogAt, now)) // the first time is now
	}
	if s := m.successor; s != nil && !s.serves {
		soonest(s.killAt)
		if s.why == "" {
			soonest(s.giveUp)
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
	words := m.board.slot(p.slot)
	v := vitals{ready: !p.ready.IsZero(), age: now.Sub(p.started)}
	if beat := int64(words[slotBeat].Load()); beat != 0 {
		v.silence = time.Duration(monotonic() - max(beat, m.awake))
	}
	if oldest := int64(words[slotOldest].Load()); oldest != 0 {
		v.oldest = time.Duration(monotonic() - oldest)
	}
	if kind, why := diagnose(v, m.cfg.BootTimeout, m.cfg.Timeout); kind != "" {
		m.cfg.Log.Error("aborting worker", "slot", p.slot, "pid", p.pid(), "kind", kind, "reason", why)
		p.abort(now, kind+": "+why)
	}
}

// staff carries out the plan.
func (m *master) staff(now time.Time) {
	posts := make([]post, len(m.slots))
	for {
		for i := range m.slots {
			posts[i] = m.post(i)
		}
		switch do, i := plan(posts, m.workers); do {
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
			m.cfg.Log.Info("worker leaves", "slot", i, "pid", p.pid())
			if p.ready.IsZero() {
				m.dismiss(p, orderQuick, now)
			} else {
				m.dismiss(p, orderLeave, now)
			}
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
	return post{state: stateReady, retire: p.retire || p.generation != m.current.number}
}

// dismiss tells a process to go, and when it will be killed if it does not.
func (m *master) dismiss(p *process, o order, now time.Time) {
	if m.cfg.Grace == 0 {
		o = orderQuick
	}
	p.leaving = true
	if o == orderQuick {
		p.killBy(now.Add(forced))
	} else {
		m.board.slot(p.slot)[slotDeadline].Store(uint64(monotonic() + int64(m.cfg.Grace)))
		p.killBy(now.Add(m.cfg.Grace + overtime))
	}
	send(p.control, o)
}

func (m *master) startWorker(i int, now time.Time) {
	s := &m.slots[i]
	s.startAt = time.Time{}
	words := m.board.slot(i)
	words[slotLimit].Store(0)
	if m.cfg.MaxRequests > 0 {
		words[slotLimit].Store(uint64(m.cfg.MaxRequests + rand.IntN(m.cfg.MaxRequestsJitter+1)))
	}
	words[slotGeneration].Store(m.current.number)
	words[slotStarted].Store(uint64(now.UnixNano()))
	m.board.setState(i, stateStarting)
	p, err := m.spawn(i)
	if err != nil {
		m.board.retire(i)
		m.failed(i, 0, m.current.number, err.Error(), err, now)
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
	case reportClosed:
		p.closed = true
	}
}

// ready takes a worker into service. During the first start that waits for the others: see open.
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
	}
}

// open ends the first start when all workers are ready. Until then nobody serves: a client that
// came early would find few workers to spread its connections over, and they stay where they are.
func (m *master) open() {
	var crew []*process
	for _, s := range m.slots {
		if p := s.process; p != nil && !p.ready.IsZero() && p.limited() {
			crew = append(crew, p)
		}
	}
	if len(crew) < m.workers {
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
	if err := m.pidFile.write(); err != nil {
		m.cfg.Log.Error("the pid file is not written", "error", err)
	}
	if m.predecessor != nil {
		send(m.predecessor, reportReady)
		m.predecessor.Close()
		m.predecessor = nil
		if m.cfg.LogFile != "" {
			m.reopenLog() // until now it was the old master that was told
		}
	}
	m.notify(daemon.SdNotifyReady)
	m.cfg.Ready(m.addr)
}

// reap waits for a process that has ended, accounts for it and decides on its slot. The order of
// the first steps is that of scoreboard.cpuTime.
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
	end := status.String()
	if p.why != "" {
		end += "; " + p.why
	}
	m.board.end(p.slot).set(end)
	if p.ready.IsZero() {
		reason := status.String()
		if p.why != "" {
			reason = p.why
		}
		m.failed(p.slot, p.pid(), p.generation, reason, err, now)
		return
	}
	m.rollBack(p.generation, fmt.Sprintf("a worker of it (pid %d) died: %s", p.pid(), status))
	if now.Sub(p.ready) >= healthy {
		s.failures = 0
	}
	m.restart(p.slot, now)
}

// failed is what follows a worker that was never ready: it is started again, or the first start is
// given up.
func (m *master) failed(slot, pid int, generation uint64, reason string, err error, now time.Time) {
	if m.rollBack(generation, fmt.Sprintf("a worker of it (pid %d) was never ready: %s", pid, reason)) {
		m.board.setState(slot, stateFree) // if one is missing here, it is started from what goes on
		return
	}
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
	m.cfg.Log.Info("worker will be started again", "slot", i, "delay", wait.Round(time.Millisecond),
		"failures", s.failures)
}

// stop begins to stop, or goes on to do it more quickly.
func (m *master) stop(how phase, why string) {
	if how <= m.phase {
		return
	}
	if m.cfg.Grace == 0 {
		how = stoppingQuickly
	}
	m.phase = how
	now := time.Now()
	m.dropSuccessor(now, "the master stops")
	if m.successor == nil || !m.successor.serves {
		m.notify(daemon.SdNotifyStopping)
	}
	if how == stoppingGracefully && m.serving {
		if err := refuseNew(m.socket); err != nil {
			m.cfg.Log.Debug("no socket filter: a client that connects during the stop may be reset", "error", err)
		}
	}
	m.cfg.Log.Info("stopping", "reason", why, "graceful", how == stoppingGracefully, "workers", m.living())
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
	// The workers empty the queue and close their copies. With the last one the socket is closed,
	// and who comes then is refused, however long the requests in flight still take. A copy kept
	// here would leave them without any answer.
	m.closeSocket()
}

// closeSocket closes the master's copy of the listening socket.
func (m *master) closeSocket() {
	if m.socket >= 0 {
		unix.Close(m.socket)
		m.socket = -1
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

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
