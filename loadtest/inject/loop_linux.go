package inject

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// newLoops returns the event loops that drive the VUs of a run, or none where h needs more than
// plain HTTP/1.1. Without askers, all VUs ask the same.
func newLoops(ctx context.Context, r *run, h *HTTP, askers []*asker) ([]driver, error) {
	if h.tls != nil || h.blocking {
		return nil, nil
	}
	addresses, err := h.socketAddresses(ctx)
	if err != nil {
		return nil, err
	}
	n := min(r.load.VUs, loopsFor(threadCPUs()))
	var drivers []driver
	for i := range n {
		vus := (r.load.VUs + i) / n // adds up to all
		var own []*asker
		if askers != nil {
			own, askers = askers[:vus], askers[vus:]
		}
		l, err := newLoop(r, h, addresses, vus, max(connecting/n, 1), own)
		if err != nil {
			for _, d := range drivers {
				d.(*loop).release()
			}
			return nil, err
		}
		drivers = append(drivers, l)
	}
	return drivers, nil
}

// loopsFor is how many event loops share the VUs where a number of processors can be used. The
// other half is for the kernel's part of the work, and for the server where it is on the same
// machine. Measured on two processors with a server on them: two loops made as many requests as
// one, at 1.25 to 1.35 times its processor time for each.
func loopsFor(cpus int) int { return max(1, cpus/2) }

// threadCPUs is how many processors this thread may use now: a duel leaves its injector fewer than
// the runtime found.
func threadCPUs() int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return runtime.GOMAXPROCS(0)
	}
	return min(runtime.GOMAXPROCS(0), set.Count())
}

// loop drives many VUs from one thread: it waits until the kernel says which of them have something
// to read, reads, and sends their next requests at once. A VU costs it a socket and some hundred
// bytes, and a request two system calls.
//
// Rejected: a goroutine for each VU over a net.Conn. Whenever it waits for an answer it has tried
// to read in vain, and goes through the scheduler: 1.34 to 1.43 times wrk's processor time for a
// request, where the loop takes 0.84 to 0.91.
type loop struct {
	run       *run
	target    *HTTP
	addresses []address
	closing   bool // each request closes its connection
	tally     tally
	users     []user
	buf       []byte // for all reads: what is left over of an answer is in its user

	poll   int // epoll instance
	events []unix.EpollEvent
	bell   bell
	tid    atomic.Int32 // the thread

	begun      time.Time     // when it began to connect
	started    bool          // the gun has been fired
	now        time.Duration // last reading of the clock: since begun, and from the gun on that of the run
	scanAt     time.Duration // when to look for requests that take too long
	busy       int           // users that have not finished their last request
	lingering  int           // users that wait for the server to end its side
	dialing    int           // users that are connecting before the gun
	atOnce     int           // so many may
	idle       []int32       // users that need a connection now
	idleAgain  []int32       // the same list while the other one is worked off; before the gun: whose connection has ended
	paused     []int32       // users that wait before they try again to connect
	waitsUntil time.Duration // when the first of them may; 0: none waits
}

// step is what a user does.
type step uint8

const (
	stepIdle    step = iota // has no connection
	stepDial                // connects
	stepReady               // is connected and at rest
	stepRequest             // has a request under way
	stepLinger              // has ended its side and waits for the server to end its own
	stepPause               // waits before it connects again
)

// user is one VU of a loop.
type user struct {
	fd     int32
	step   step
	phase  phase
	early  bool  // something came before the request
	rested bool  // was at rest before its request: the server may have ended the connection meanwhile
	hungUp bool  // the server has ended its side
	try    uint8 // which address is being tried
	sent   int   // bytes of the request that are sent
	drawn  bool  // the request is chosen, and not answered
	begun  time.Duration
	pause  time.Duration // before the next attempt to connect
	answer answer

	request []byte // that is under way, or was last
	asker   *asker // what it asks; nil: the same request each time

	connection int32  // which one it is of this user
	answers    uint32 // that came on it
	written    uint64 // bytes of the requests that were answered on it
}

func newLoop(r *run, h *HTTP, addresses []address, vus, atOnce int, askers []*asker) (*loop, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, ownFault("event loop", err)
	}
	l := &loop{
		run:       r,
		target:    h,
		addresses: addresses,
		closing:   h.config.NoKeepAlive,
		tally:     newTally(r.total),
		users:     make([]user, vus),
		buf:       make([]byte, 64<<10),
		poll:      poll,
		events:    make([]unix.EpollEvent, min(vus+1, 512)),
		atOnce:    atOnce,
	}
	q := h.questions[0]
	for i := range l.users {
		u := &l.users[i]
		*u = user{fd: -1, request: q.bytes, answer: answer{toHead: q.toHead, saw: newSight(h.config)}}
		if askers != nil {
			u.asker, u.answer.jar = askers[i], askers[i].jar
		}
	}
	if err := l.bell.hang(poll); err != nil {
		unix.Close(poll)
		return nil, ownFault("event loop", err)
	}
	return l, nil
}

func (l *loop) release() {
	l.bell.take()
	unix.Close(l.poll)
}

func (l *loop) interrupt() { l.bell.ring() }

func (l *loop) thread() int { return int(l.tid.Load()) }

// connect locks the loop to a thread until leave returns, so that what the thread used is what the
// loop used.
func (l *loop) connect(context.Context) {
	runtime.LockOSThread()
	l.tid.Store(int32(unix.Gettid()))
	l.begun = time.Now()
	for i := range l.users {
		l.idle = append(l.idle, int32(i))
	}
	for l.joining() && !l.run.stopped.Load() {
		l.settle()
	}
}

// joining reports whether users are being connected, or wait for that.
func (l *loop) joining() bool { return len(l.idle) > 0 || l.dialing > 0 }

// await keeps the users connected: a server may end connections on which no request comes for a
// while.
func (l *loop) await(_ context.Context, gun <-chan struct{}) {
	for !l.run.stopped.Load() {
		select {
		case <-gun:
			l.bell.still()
			return
		default:
			l.idle, l.idleAgain = append(l.idle, l.idleAgain...), l.idleAgain[:0]
			l.settle()
		}
	}
	<-gun
}

func (l *loop) wake() { l.bell.ring() }

// settle begins to connect who has to be connected before the gun, and handles what the kernel
// tells.
func (l *loop) settle() {
	for len(l.idle) > 0 && l.dialing < l.atOnce {
		i := l.idle[0]
		l.idle = l.idle[1:]
		l.users[i].begun, l.users[i].try = l.now, 0
		l.dialing++
		l.dial(i)
	}
	l.turn(l.patience())
	if l.now >= l.scanAt {
		l.scan()
	}
}

func (l *loop) counted() *tally { return &l.tally }

func (l *loop) play(context.Context) {
	for range len(l.users)/len(l.events) + 1 { // what ended while the users were at rest
		if !l.turn(0) {
			break
		}
	}
	l.started = true
	l.tick()
	l.scanAt = l.now
	l.busy = len(l.users)
	l.idle = l.idle[:0]
	for i := range l.users {
		u := &l.users[i]
		u.phase = leadIn
		if u.asker != nil {
			u.asker.begin(l.run.round)
			u.drawn = false
		}
		l.tick() // the last of ten thousand is sent its request a while after the first
		switch u.begun = l.now; u.step {
		case stepReady:
			u.rested = true
			l.nextRequest(int32(i))
		case stepIdle:
			l.idle = append(l.idle, int32(i))
		}
	}
	l.loop(&l.busy)
}

func (l *loop) leave() {
	defer runtime.UnlockOSThread()
	defer l.release()
	l.tally.flush()
	l.tick()
	for i := range l.users {
		u := &l.users[i]
		if u.step != stepReady {
			continue
		}
		far := l.addresses[u.try].far
		if far {
			resetOnClose(u.fd) // now, so that nothing is between the end and the reset
		}
		unix.Shutdown(int(u.fd), unix.SHUT_WR)
		switch u.begun = l.now; {
		case far:
			l.drop(u)
			u.step = stepIdle
		default:
			u.step = stepLinger
			l.lingering++
			if u.early || u.hungUp {
				l.linger(int32(i))
			}
		}
	}
	l.loop(&l.lingering)
	for i := range l.users { // what is left after an interrupt
		l.drop(&l.users[i])
	}
}

// loop goes on until no user is left that something is to be done for.
func (l *loop) loop(left *int) {
	for *left > 0 && !l.run.stopped.Load() {
		l.reconnect()
		if l.now >= l.scanAt {
			l.scan()
		}
		if *left > 0 {
			l.turn(l.patience())
		}
	}
}

// turn waits for the kernel, some milliseconds at most, and handles what it tells. It reports
// whether there may be more.
func (l *loop) turn(patience int) (more bool) {
	n, err := unix.EpollWait(l.poll, l.events, patience)
	if err != nil && !errors.Is(err, unix.EINTR) {
		l.run.stop(fmt.Errorf("event loop: %w", err)) // cannot happen with a good descriptor
	}
	before := l.now
	for i := range l.events[:max(n, 0)] {
		e := &l.events[i]
		if e.Fd < 0 {
			continue // the bell: stopped is set
		}
		// A child that a fork is just making holds a copy of every socket, and the kernel goes on
		// telling of closed ones.
		if l.users[e.Fd].connection == e.Pad {
			l.handle(e.Fd, e.Events)
		}
	}
	if l.now == before {
		l.tick()
	}
	return n == len(l.events)
}

// tick reads the clock.
func (l *loop) tick() {
	if l.started {
		l.now = l.run.now()
	} else {
		l.now = time.Since(l.begun)
	}
}

// patience is for how many milliseconds a turn may wait.
func (l *loop) patience() int {
	if len(l.idle) > 0 && l.started {
		return 0
	}
	until := l.scanAt
	if l.waitsUntil > 0 {
		until = min(until, l.waitsUntil)
	}
	return int(max(until-l.now, 0)/time.Millisecond) + 1
}

// scanInterval is how much later than its timeout a request may be found.
func (l *loop) scanInterval() time.Duration {
	return min(max(slack(l.run.load.Timeout)/2, time.Millisecond), 100*time.Millisecond)
}

// scan gives up what takes too long.
func (l *loop) scan() {
	l.scanAt = l.now + l.scanInterval()
	for i := range l.users {
		u := &l.users[i]
		took := l.now - u.begun
		switch u.step {
		case stepDial:
			if took > l.run.load.Timeout {
				l.undialable(int32(i), Timeout)
			}
		case stepRequest:
			if took > l.run.load.Timeout {
				l.broken(int32(i), Timeout)
			}
		case stepLinger:
			if took > lingering {
				l.gone(u)
			}
		}
	}
}

// handle is told that something happened to the socket of a user.
func (l *loop) handle(i int32, events uint32) {
	u := &l.users[i]
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		u.hungUp = true
	}
	switch u.step {
	case stepRequest:
		if u.sent < len(u.request) && events&unix.EPOLLOUT != 0 {
			l.send(i)
		}
		if u.step == stepRequest && events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			l.receive(i)
		}
	case stepDial:
		if events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			u.early = events&(unix.EPOLLIN|unix.EPOLLRDHUP) != 0 // it is told only once
			l.dialed(i, socketError(u.fd))
		}
	case stepReady:
		u.early = u.early || events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
		if u.early && !l.started {
			l.disturbed(i)
		}
	case stepLinger:
		l.tick()
		l.linger(i)
	}
}
