//go:build linux

package prefork

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// patience is how long a worker leaves a connection to another one whose turn it is. Then it
	// takes the connection itself: a worker that hangs must not hold up the others' clients. That
	// is paid once, as the worker that hangs is then passed over. It is longer than a worker waits
	// for a processor on a busy machine (50 ms was not): a connection that goes to the wrong worker
	// for that stays there.
	patience = 200 * time.Millisecond
	// lookAgain is how often it looks meanwhile. It also looks whenever a connection arrives, so
	// this matters only when it looked while another worker was between accepting and counting.
	// Less than 1 ms is not to be had from the poller, which waits in whole milliseconds.
	lookAgain = time.Millisecond
)

// mode is what a worker's listener does with connections that wait.
type mode int32

const (
	inTurn    mode = iota // accepts its share
	greedy                // accepts whatever there is: everybody stops
	untilDone             // accepts what there is, then ends
	closed                // accepts nothing
)

// listener accepts from the socket that all workers share. It is a net.Listener for one goroutine.
type listener struct {
	file  *os.File
	raw   syscall.RawConn
	addr  net.Addr
	board *scoreboard
	self  int          // slot
	mode  atomic.Int32 // a mode

	// Of the goroutine that accepts:
	loads   []load
	waiting time.Time // since when others do not take the connections that are theirs; zero: they do
	accepts uint64    // of all workers, at that time
	taken   *os.File  // accepted, for want of descriptors not yet a connection; nil: none

	over  atomic.Int64 // open connections that handlers took over from net/http
	mu    sync.Mutex
	conns map[*conn]struct{} // those that net/http serves
}

// newListener takes over file, which must be a non-blocking listening TCP socket.
//
// The file is not made a net.TCPListener because that offers no way to wait for a connection
// without accepting it: the Read of its RawConn always fails.
func newListener(file *os.File, board *scoreboard, self int) (*listener, error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("prefork: listener: %w", err)
	}
	l := &listener{
		file:  file,
		raw:   raw,
		board: board,
		self:  self,
		loads: make([]load, board.slots),
		conns: make(map[*conn]struct{}),
	}
	// Only for its address; the copy is closed again.
	tl, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("prefork: listener: %w", err)
	}
	l.addr = tl.Addr()
	return l, tl.Close()
}

func (l *listener) Addr() net.Addr { return l.addr }

func (l *listener) Close() error {
	l.setMode(closed)
	return l.file.Close()
}

// setMode wakes the goroutine that accepts, which reads the mode after it has cleared the deadline.
func (l *listener) setMode(m mode) {
	l.mode.Store(int32(m))
	_ = l.file.SetReadDeadline(time.Unix(1, 0)) // fails on a closed file: nobody waits then
}

// Accept waits for the next connection that is this worker's.
//
// All workers wait for the same socket and are woken by each connection; Go's poller has no way to
// wake only one of them. Which one accepts is decided in look.
func (l *listener) Accept() (net.Conn, error) {
	for {
		if l.taken == nil {
			fd, err := l.take()
			if err != nil {
				return nil, err
			}
			l.taken = os.NewFile(uintptr(fd), "connection")
		}
		c, err := net.FileConn(l.taken)
		if short(err) && mode(l.mode.Load()) < untilDone {
			return nil, shortage{err} // keep it for the next call
		}
		l.taken.Close()
		l.taken = nil
		if err == nil && c.RemoteAddr() != nil {
			return l.register(c.(*net.TCPConn)), nil
		}
		// The client is gone already. The next one, please.
		l.uncount()
		if err == nil {
			c.Close()
		}
	}
}

// take waits until look has accepted a connection.
func (l *listener) take() (int, error) {
	for {
		if err := l.file.SetReadDeadline(time.Time{}); err != nil {
			return -1, net.ErrClosed
		}
		fd, acceptErr := -1, error(nil)
		err := l.raw.Read(func(socket uintptr) (done bool) {
			fd, acceptErr, done = l.look(int(socket))
			return done
		})
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			// time to look again
		case err != nil:
			return -1, net.ErrClosed
		default:
			return fd, acceptErr
		}
	}
}

// look accepts a connection if there is one and it is this worker's turn. Otherwise it is not done,
// and is called again when another connection arrives or at the deadline it has set.
//
// The poller reports arrivals, not that something is there (it is edge triggered), so before look
// says it is not done it must have seen the queue empty, or have set a deadline.
func (l *listener) look(socket int) (fd int, err error, done bool) {
	own := l.board.slot(l.self)
	for {
		how := mode(l.mode.Load())
		if how == closed {
			return -1, net.ErrClosed, true
		}
		if how == inTurn {
			if own[slotMissed].Load() != 0 {
				own[slotMissed].Store(0)
			}
			l.loads = l.board.loads(l.loads[:cap(l.loads)])
			queued := queueLength(socket) // after the loads: see yields
			if queued == 0 {
				l.waiting = time.Time{}
				return -1, nil, false
			}
			if yields(l.self, l.loads, queued) && l.patient() {
				if err := l.file.SetReadDeadline(time.Now().Add(lookAgain)); err != nil {
					return -1, net.ErrClosed, true
				}
				return -1, nil, false
			}
		}
		// Not SOCK_NONBLOCK: os.NewFile would register such a socket with the poller, just for
		// net.FileConn to make its own, non-blocking copy.
		fd, _, err := unix.Accept4(socket, unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			// At once, before anybody else looks again.
			own[slotConnections].Add(1)
			l.board.words[headAccepts].Add(1)
			l.waiting = time.Time{}
			return fd, nil, true
		case unix.EAGAIN: // another worker was faster
			if how == untilDone {
				return -1, net.ErrClosed, true
			}
			l.waiting = time.Time{}
			return -1, nil, false
		case unix.EINTR, unix.ECONNABORTED, unix.EPROTO, unix.ENETDOWN, unix.ENETUNREACH, unix.EHOSTDOWN,
			unix.EHOSTUNREACH, unix.ENOPROTOOPT, unix.EOPNOTSUPP, unix.ENONET, unix.EPERM:
			continue // the fault of that connection, or a firewall's, as accept(2) says
		case unix.EBADF, unix.EINVAL, unix.ENOTSOCK, unix.EFAULT:
			return -1, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: os.NewSyscallError("accept4", err)}, true
		default: // no descriptors, no memory: net/http waits a little and tries again
			if how == untilDone {
				return -1, net.ErrClosed, true
			}
			return -1, shortage{err}, true
		}
	}
}

// patient reports whether to leave it to the others once more. As long as anybody accepts, the
// queue moves. When nobody has for a while, the one whose turn it is gets marked as not to be
// counted on until it looks at the queue again. Otherwise each further connection would have to
// wait as long.
func (l *listener) patient() bool {
	now := time.Now()
	if accepts := l.board.words[headAccepts].Load(); l.waiting.IsZero() || accepts != l.accepts {
		l.waiting, l.accepts = now, accepts
	}
	if now.Sub(l.waiting) < patience {
		return true
	}
	if late := first(l.self, l.loads); late >= 0 {
		l.board.slot(late)[slotMissed].Store(1)
	}
	return false
}

// shortage is an error of accept that passes. net/http goes on after errors that say they are
// temporary; of these Go calls only some so.
type shortage struct{ error }

func (shortage) Timeout() bool   { return false }
func (shortage) Temporary() bool { return true }
func (s shortage) Unwrap() error { return s.error }

// short reports whether err is such a shortage.
func short(err error) bool {
	for _, e := range []syscall.Errno{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOBUFS, unix.ENOSPC} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// register notes an accepted and counted connection as open.
func (l *listener) register(c *net.TCPConn) *conn {
	counted := &conn{TCPConn: c, listener: l, since: monotonic()}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[counted] = struct{}{}
	return counted
}

// forget takes a connection out of those that letGo looks at.
func (l *listener) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// uncount takes a connection off the board.
func (l *listener) uncount() { l.board.slot(l.self)[slotConnections].Add(^uint64(0)) }

// letGo makes net/http close the connections from which no request has come for a while, counted
// from begin at the earliest (in monotonic time), and returns how many connections it still serves.
//
// It sets a deadline in the past and does not close them: a request that net/http has read but does
// not know of yet (with more to do than there is processor for, that can take long) goes on then,
// and a Read that waits ends. Server.Shutdown was rejected for this: it closes what is idle by what
// net/http knows, throws away requests that are read after it has begun, and waits five seconds for
// a connection without any.
func (l *listener) letGo(begin int64, quiet time.Duration) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	latest := monotonic() - int64(quiet)
	for c := range l.conns {
		c.letGo(begin, latest)
	}
	return len(l.conns)
}

// conn is a connection that is counted. The rest is the TCPConn's, so that net/http finds what it
// looks for (sendfile by ReadFrom, CloseWrite).
type conn struct {
	*net.TCPConn
	listener *listener
	closed   atomic.Bool
	request  atomic.Pointer[request] // the last one, of HTTP/1, which is what a handler can take the connection over from
	begun    atomic.Bool             // something has been read since it is new or idle: the beginning of a request

	mu    sync.Mutex
	state http.ConnState
	since int64 // how long it is in this state, exact from when the worker has to leave
	let   bool  // go: its deadline is in the past
	over  bool  // a handler took it over, and has it still
}

// connKey is under what a request's context has its *conn.
type connKey struct{}

// connOf returns what net/http was given when it made nc, nil if that was no conn.
func connOf(nc net.Conn) *conn {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	c, _ := nc.(*conn)
	return c
}

// Close counts before it closes: a client that sees the end of its connection and makes a new one
// finds it already taken off.
func (c *conn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.listener.forget(c)
		c.listener.uncount()
		c.mu.Lock()
		if c.over {
			c.over = false
			c.listener.over.Add(-1)
		}
		c.mu.Unlock()
	}
	return c.TCPConn.Close()
}

// Read takes note that a request may have begun: to net/http a connection is new or idle until all
// of its head is there.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	if n > 0 && !c.begun.Load() {
		c.begun.Store(true)
	}
	return n, err
}

// follow makes srv tell each connection its state, and each request its connection.
func follow(srv *http.Server, flight *inflight) {
	told := srv.ConnState
	srv.ConnState = func(nc net.Conn, s http.ConnState) {
		if c := connOf(nc); c != nil {
			if r := c.request.Load(); r != nil && s == http.StateHijacked {
				flight.end(r) // what follows is no request, and may well become older than a request should
			}
			c.enter(s)
		}
		if told != nil {
			told(nc, s)
		}
	}
	given := srv.ConnContext
	srv.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		if given != nil {
			ctx = given(ctx, nc)
		}
		if c := connOf(nc); c != nil {
			ctx = context.WithValue(ctx, connKey{}, c)
		}
		return ctx
	}
}

// enter notes what net/http does with the connection.
func (c *conn) enter(s http.ConnState) {
	if s == http.StateHijacked { // no longer net/http's, nor ours to end
		c.listener.forget(c)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s == http.StateHijacked && !c.closed.Load() {
		c.over = true
		c.listener.over.Add(1)
	}
	c.state = s
	if s == http.StateIdle {
		c.begun.Store(false)
	}
	if mode(c.listener.mode.Load()) != inTurn {
		c.since = monotonic()
	}
	if s == http.StateActive && c.let {
		c.let = false
		_ = c.SetReadDeadline(time.Time{}) // fails only if it is closed
	}
}

func (c *conn) letGo(begin, latest int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	waits := c.state == http.StateNew || c.state == http.StateIdle
	if waits && max(c.since, begin) <= latest && !c.begun.Load() && !c.unread() {
		c.let = true
		_ = c.SetReadDeadline(time.Unix(1, 0)) // fails only if it is closed
	}
}

// unread reports whether bytes have arrived that nobody has read.
func (c *conn) unread() bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	// Control, not Read: that would wait for the goroutine that is reading.
	if raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCINQ) }) != nil || err != nil {
		return false
	}
	return n > 0
}
