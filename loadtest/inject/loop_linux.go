package inject

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// newLoops returns the event loops that drive the VUs of a run, or none where h needs more than plain HTTP/1.1.
func newLoops(ctx context.Context, r *run, h *HTTP) ([]driver, error) {
	if h.tls != nil || h.blocking {
		return nil, nil
	}
	if err := enoughFiles(r.load.VUs); err != nil {
		return nil, err
	}
	addresses, err := h.socketAddresses(ctx)
	if err != nil {
		return nil, err
	}
	n := min(r.load.VUs, loopsFor(usableCPUs()))
	var drivers []driver
	for i := range n {
		vus := (r.load.VUs + i) / n // adds up to all
		l, err := newLoop(r, h, addresses, vus, max(connecting/n, 1))
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

// loopsFor is how many event loops share the VUs where a number of processors can be used. The other half is for the
// kernel's part of the work, and for the server where it is on the same machine. Measured on two processors with a server
// on them: two loops made as many requests as one, at 1.25 to 1.35 times its processor time for each.
func loopsFor(cpus int) int { return max(1, cpus/2) }

// usableCPUs is how many processors this thread may use now: a duel leaves its injector fewer than the runtime found.
func usableCPUs() int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return runtime.GOMAXPROCS(0)
	}
	return min(runtime.GOMAXPROCS(0), set.Count())
}

// loop drives many VUs from one thread: it waits until the kernel says which of them have something to read, reads, and
// sends their next requests at once. A VU costs it a socket and some hundred bytes, and a request two system calls.
//
// Rejected: a goroutine for each VU over a net.Conn. Whenever it waits for an answer it has tried to read in vain, and
// goes through the scheduler: 1.34 to 1.43 times wrk's processor time for a request, where the loop takes 0.84 to 0.91.
type loop struct {
	run       *run
	addresses []address
	request   []byte
	closing   bool // each request closes its connection
	tally     tally
	users     []user
	buf       []byte // for all reads: what is left over of an answer is in its user

	poll   int // epoll instance
	events []unix.EpollEvent
	bell   bell
	tid    atomic.Int32 // the thread

	started    bool          // the gun has been fired
	now        time.Duration // last reading of the clock of the run
	scanAt     time.Duration // when to look for requests that take too long
	busy       int           // users that have not finished their last request
	lingering  int           // users that wait for the server to end its side
	dialing    int           // users that are connecting for the first time
	atOnce     int           // so many may
	undialed   int           // the first user that has not begun to connect
	idle       []int32       // users that need a connection now
	idleAgain  []int32       // the same list while the other one is worked off
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
	served bool  // got an answer on this connection
	hungUp bool  // the server has ended its side
	try    uint8 // which address is being tried
	sent   int   // bytes of the request that are sent
	begun  time.Duration
	pause  time.Duration // before the next attempt to connect
	answer answer

	connection int32 // which one it is of this user
}

func newLoop(r *run, h *HTTP, addresses []address, vus, atOnce int) (*loop, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("event loop: %w", err)
	}
	l := &loop{
		run:       r,
		addresses: addresses,
		request:   h.keepAlive,
		closing:   h.config.NoKeepAlive,
		tally:     tally{total: r.total},
		users:     make([]user, vus),
		buf:       make([]byte, 64<<10),
		poll:      poll,
		events:    make([]unix.EpollEvent, min(vus+1, 512)),
		atOnce:    atOnce,
	}
	if l.closing {
		l.request = h.closing
	}
	for i := range l.users {
		l.users[i] = user{fd: -1, answer: answer{toHead: h.request.Method == http.MethodHead}}
	}
	if err := l.bell.hang(poll); err != nil {
		unix.Close(poll)
		return nil, fmt.Errorf("event loop: %w", err)
	}
	return l, nil
}

func (l *loop) release() {
	l.bell.take()
	unix.Close(l.poll)
}

func (l *loop) interrupt() { l.bell.ring() }

func (l *loop) thread() int { return int(l.tid.Load()) }

// connect locks the loop to a thread until leave returns, so that what the thread used is what the loop used.
func (l *loop) connect(context.Context) {
	runtime.LockOSThread()
	l.tid.Store(int32(unix.Gettid()))
	begun := time.Now()
	for (l.undialed < len(l.users) || l.dialing > 0) && !l.run.stopped.Load() {
		for l.undialed < len(l.users) && l.dialing < l.atOnce {
			l.now = time.Since(begun) // there is no clock of the run yet
			i := int32(l.undialed)
			l.users[i].begun = l.now
			l.dialing++
			l.undialed++
			l.dial(i)
		}
		l.turn(l.patience())
		if l.now = time.Since(begun); l.now >= l.scanAt {
			l.scan()
		}
	}
}

func (l *loop) counted() *tally { return &l.tally }

func (l *loop) play(context.Context) {
	l.now = l.run.now()
	l.scanAt = l.now
	if l.started { // while the loop was at rest, a server may have ended connections
		l.turn(0)
	}
	l.started = true
	l.busy = len(l.users)
	for i := range l.users {
		u := &l.users[i]
		u.phase = leadIn
		switch {
		case u.step == stepReady && u.hungUp && u.served:
			l.drop(u)
			l.free(int32(i))
		case u.step == stepReady:
			l.tick() // the last of ten thousand is sent its request a while after the first
			u.begun = l.now
			l.nextRequest(int32(i))
		case u.step == stepIdle:
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
		if u := &l.users[i]; u.step == stepReady {
			unix.Shutdown(int(u.fd), unix.SHUT_WR)
			u.step, u.begun = stepLinger, l.now
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

// turn waits for the kernel, some milliseconds at most, and handles what it tells.
func (l *loop) turn(patience int) {
	n, err := unix.EpollWait(l.poll, l.events, patience)
	if err != nil && !errors.Is(err, unix.EINTR) {
		l.run.abort(fmt.Errorf("event loop: %w", err)) // cannot happen with a good descriptor
	}
	before := l.now
	for i := range l.events[:max(n, 0)] {
		e := &l.events[i]
		if e.Fd < 0 {
			continue // the bell: stopped is set
		}
		// A child that a fork is just making holds a copy of every socket, and the kernel goes on telling of closed ones.
		if l.users[e.Fd].connection == e.Pad {
			l.handle(e.Fd, e.Events)
		}
	}
	if l.now == before {
		l.tick()
	}
}

// tick reads the clock. Before the gun there is none; connect keeps its own.
func (l *loop) tick() {
	if l.started {
		l.now = l.run.now()
	}
}

// patience is for how many milliseconds a turn may wait.
func (l *loop) patience() int {
	if len(l.idle) > 0 {
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
		if u.sent < len(l.request) && events&unix.EPOLLOUT != 0 {
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
	case stepLinger:
		l.tick()
		l.linger(i)
	}
}

// receive reads what has come. The kernel tells of each arrival once, so all of it is read; a read that does not fill the
// buffer has got all there is (epoll(7)), but for the end of the connection. A server that sends as fast as it is read
// would keep the loop from everything else, so the rest waits for another turn.
func (l *loop) receive(i int32) {
	u := &l.users[i]
	for range readsAtOnce {
		n, err := receive(u.fd, l.buf)
		switch {
		case err == unix.EAGAIN:
			return
		case err == unix.EINTR:
			continue
		case err != 0:
			l.broken(i, Classify(err, Read))
			return
		case n == 0:
			u.hungUp = true
			if err := u.answer.end(); err != nil {
				l.broken(i, EOF)
			} else {
				l.answered(i)
			}
			return
		}
		used, bad := u.answer.feed(l.buf[:n])
		switch {
		case bad != nil:
			l.broken(i, Malformed)
			return
		case u.answer.complete() && used < n:
			l.broken(i, Malformed) // nobody asked for the rest; it would be taken for the answer to the next request
			return
		case u.answer.complete():
			l.answered(i)
			return
		case n < len(l.buf) && !u.hungUp:
			return
		}
	}
	l.tellAgain(i)
}

// readsAtOnce is how many full buffers are read of one user in a turn.
const readsAtOnce = 16

// tellAgain makes the kernel tell once more what there is to read.
func (l *loop) tellAgain(i int32) {
	u := &l.users[i]
	if err := watchSocket(l.poll, unix.EPOLL_CTL_MOD, u.fd, i, u.connection); err != nil {
		l.run.abort(fmt.Errorf("event loop: %w", err)) // cannot happen with good descriptors
	}
}

// answered counts a complete answer. Its end is the start of the next request, so that the clock is read once a request
// and a closed loop has no gap that nobody measures.
func (l *loop) answered(i int32) {
	u := &l.users[i]
	l.now = l.run.now()
	latency := l.now - u.begun
	switch {
	case latency > l.run.load.Timeout:
		l.tally.fail(Timeout)
	case !ok(u.answer.status()):
		l.tally.fail(Status)
	default:
		l.tally.succeed(l.run.counts(u.phase, l.now), latency)
	}
	l.run.advance(&u.phase, l.now)
	u.begun, u.served = l.now, true
	if l.closing || u.hungUp || u.answer.closing() || u.sent < len(l.request) {
		l.drop(u)
		l.free(i)
		return
	}
	l.nextRequest(i)
}

// nextRequest makes the next request of a connected user, or ends the user.
func (l *loop) nextRequest(i int32) {
	u := &l.users[i]
	if l.run.over(u.phase, l.now) {
		u.step = stepReady
		l.busy--
		return
	}
	if u.early && !l.silent(i) {
		return
	}
	u.step, u.sent = stepRequest, 0
	u.answer.begin()
	l.send(i)
}

// silent reports whether the server has said nothing yet. What it said before it was asked would be taken for the answer.
func (l *loop) silent(i int32) bool {
	u := &l.users[i]
	u.early = false
	n, err := receive(u.fd, l.buf)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return true
	case err != 0:
		l.broken(i, Classify(err, Read))
	case n == 0:
		l.broken(i, EOF)
	default:
		l.broken(i, Malformed)
	}
	return false
}

// send sends the request, or what is left of it.
func (l *loop) send(i int32) {
	u := &l.users[i]
	for {
		n, err := send(u.fd, l.request[u.sent:])
		switch err {
		case 0:
			if u.sent += n; u.sent == len(l.request) {
				return
			}
		case unix.EAGAIN:
			return
		case unix.EINTR:
		default:
			l.unsendable(i, Classify(err, Write))
			return
		}
	}
}

// unsendable is told that the rest of a request cannot be sent. A server that has answered without reading all of it, and
// closed, did answer; the kernel keeps the answer also when the connection is reset.
func (l *loop) unsendable(i int32, class Class) {
	u := &l.users[i]
	for {
		n, err := receive(u.fd, l.buf)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			break
		}
		used, bad := u.answer.feed(l.buf[:n])
		if bad != nil || used < n {
			class = Malformed
			break
		}
		if u.answer.complete() {
			l.answered(i)
			return
		}
	}
	l.broken(i, class)
}

// broken counts a failure after which the connection is of no more use.
func (l *loop) broken(i int32, class Class) {
	u := &l.users[i]
	if !l.run.stopped.Load() { // what an interrupt broke is no failure of the server
		l.tally.fail(class)
	}
	l.tick()
	l.run.advance(&u.phase, l.now)
	u.begun = l.now
	l.drop(u)
	l.free(i)
}

// free puts a user without a connection among those that need one.
func (l *loop) free(i int32) {
	l.users[i].step = stepIdle
	if l.started {
		l.idle = append(l.idle, i)
	}
}

// linger reads until the server has ended its side.
func (l *loop) linger(i int32) {
	u := &l.users[i]
	for range readsAtOnce {
		n, err := receive(u.fd, l.buf)
		switch {
		case err == unix.EAGAIN:
			return
		case err != unix.EINTR && n <= 0:
			l.gone(u)
			return
		}
	}
	l.tellAgain(i)
}

// gone takes note that the connection of a user that lingers has ended.
func (l *loop) gone(u *user) {
	l.drop(u)
	u.step = stepIdle
	l.lingering--
}

// drop closes the connection of a user, if there is one. A reset in place of a FIN leaves no port in TIME_WAIT, of which
// there are only some 28 000 towards one server; there is nothing left that a reset could destroy.
func (l *loop) drop(u *user) {
	if u.fd < 0 {
		return
	}
	resetOnClose(u.fd)
	unix.Close(int(u.fd))
	u.fd = -1
	u.hungUp, u.early, u.served = false, false, false
}

// reconnect begins to connect those who need it. Only here, and not where a connection ends: a server that closes at once
// would keep the loop busy with one user.
func (l *loop) reconnect() {
	if l.waitsUntil > 0 && l.now >= l.waitsUntil {
		l.unpause()
	}
	l.idle, l.idleAgain = l.idleAgain[:0], l.idle
	for _, i := range l.idleAgain {
		if u := &l.users[i]; l.run.over(u.phase, l.now) {
			l.busy-- // and it stays without a connection
		} else {
			u.begun, u.try = l.now, 0
			l.dial(i)
		}
	}
}

// unpause makes those need a connection who have waited long enough, and everybody when the window has closed.
func (l *loop) unpause() {
	l.waitsUntil = 0
	still := l.paused[:0]
	for _, i := range l.paused {
		u := &l.users[i]
		if until := u.begun + u.pause; l.now < until && !l.run.over(u.phase, l.now) {
			still = append(still, i)
			l.wakeAt(until)
		} else {
			u.pause = min(2*u.pause, lastPause)
			l.free(i)
		}
	}
	l.paused = still
}

func (l *loop) wakeAt(at time.Duration) {
	if l.waitsUntil == 0 || at < l.waitsUntil {
		l.waitsUntil = at
	}
}

// dial begins to connect a user.
func (l *loop) dial(i int32) {
	u := &l.users[i]
	u.step = stepDial
	u.connection++
	fd, err := openSocket(l.addresses[u.try], l.poll, i, u.connection)
	u.fd = fd
	switch {
	case err == unix.EINPROGRESS:
	case err == unix.EMFILE || err == unix.ENFILE:
		l.run.abort(fmt.Errorf("a socket for each of %d VUs: %w; allow more open files (ulimit -n), or use fewer VUs", l.run.load.VUs, err))
	default:
		l.dialed(i, err)
	}
}

// dialed is told how an attempt to connect ended.
func (l *loop) dialed(i int32, err unix.Errno) {
	u := &l.users[i]
	if err != 0 {
		if int(u.try)+1 < len(l.addresses) {
			l.drop(u)
			u.try++
			l.dial(i)
			return
		}
		class := Dial
		switch {
		case err == unix.ECONNRESET || err == unix.EPIPE:
			class = Reset // there was a connection, and it ended before anybody looked
		case err.Timeout() && err != unix.EAGAIN: // EAGAIN: the queue of a unix socket is full
			class = Timeout
		}
		l.undialable(i, class)
		return
	}
	u.pause = firstPause
	if !l.started {
		u.step = stepReady
		l.dialing--
		return
	}
	l.tick()
	l.tally.connect(l.run.counts(u.phase, l.now), l.now-u.begun)
	u.begun = l.now
	l.nextRequest(i)
}

// undialable counts a user's failure to connect, and lets it wait before it tries again.
func (l *loop) undialable(i int32, class Class) {
	u := &l.users[i]
	l.drop(u)
	if !l.run.stopped.Load() {
		l.tally.fail(class)
	}
	u.step = stepIdle
	if !l.started {
		l.dialing--
		return
	}
	l.tick()
	l.tally.connect(l.run.counts(u.phase, l.now), l.now-u.begun)
	l.run.advance(&u.phase, l.now)
	u.begun, u.step = l.now, stepPause
	u.pause = max(u.pause, firstPause)
	l.paused = append(l.paused, i)
	l.wakeAt(u.begun + u.pause)
}

// bell wakes a loop from outside.
type bell struct {
	mu sync.Mutex
	fd int // -1: taken away
}

// hang makes the bell heard by an epoll instance, which tells of it as descriptor -1.
func (b *bell) hang(poll int) error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return err
	}
	if err := unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1}); err != nil {
		unix.Close(fd)
		return err
	}
	b.fd = fd
	return nil
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fd >= 0 {
		_, _ = unix.Write(b.fd, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // one that is full rings already
	}
}

func (b *bell) take() {
	b.mu.Lock()
	defer b.mu.Unlock()
	unix.Close(b.fd)
	b.fd = -1
}
