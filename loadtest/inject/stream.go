package inject

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// stream reads answers from a connection that blocks.
type stream struct {
	answer answer
	buf    []byte
}

// streamBuffer holds most answers whole. Each VU has one, so it is not larger.
const streamBuffer = 4 << 10

func newStream(method string) *stream {
	return &stream{answer: answer{toHead: method == http.MethodHead}, buf: make([]byte, streamBuffer)}
}

// read reads one whole answer. The error is a *malformedError, io.ErrUnexpectedEOF for a connection that ended too early,
// or what the connection returned.
func (s *stream) read(from io.Reader) error {
	s.answer.begin()
	for {
		n, err := from.Read(s.buf)
		used, bad := s.answer.feed(s.buf[:n])
		switch {
		case bad != nil:
			return bad
		case used < n:
			return errExcess
		case s.answer.complete():
			return nil
		case err == io.EOF:
			return s.answer.end()
		case err != nil:
			return err
		}
	}
}

// errExcess says that more came than the answer. Nobody asked for the rest, which would be taken for the next answer.
var errExcess = malformed("more than one answer")

// atOnce is how much of a request surely fits the buffers of a connection, so that writing it does not wait for the server.
const atOnce = 16 << 10

// stragglers is how long the rest of a request may still be on its way into the buffers when its answer is there already.
const stragglers = 10 * time.Millisecond

// exchange sends a request and reads the answer, which may come before all of the request is sent. whole reports whether
// all of it was; else the connection is of no more use. The error is that of read, or a *Failure that says why the request
// could not be sent. A request of more than atOnce bytes leaves conn without the deadline that it had.
func (s *stream) exchange(conn net.Conn, request []byte) (whole bool, err error) {
	var unsent error
	if len(request) <= atOnce {
		_, unsent = conn.Write(request)
		err = s.read(conn) // also then: a server that did not want the rest may have said why
	} else {
		sent := make(chan error, 1)
		go func() {
			_, err := conn.Write(request)
			sent <- err
		}()
		if err = s.read(conn); err != nil {
			conn.SetDeadline(time.Now())
		} else {
			conn.SetWriteDeadline(time.Now().Add(stragglers))
		}
		unsent = <-sent
	}
	if err != nil && unsent != nil && !isTimeout(unsent) && classifyAnswer(err) != Malformed {
		err = &Failure{Classify(unsent, Write), unsent}
	}
	return unsent == nil, err
}

// classifyAnswer is the class of an error met in reading an answer.
func classifyAnswer(err error) Class {
	var malformed *malformedError
	if errors.As(err, &malformed) {
		return Malformed
	}
	return Classify(err, Read)
}

// httpVU is a VU with a goroutine of its own, over a connection that blocks.
type httpVU struct {
	target  *HTTP
	timeout time.Duration
	request []byte
	conn    net.Conn // nil: none
	stream  *stream
	http2   *http2VU      // not nil: the server speaks HTTP/2 on conn
	until   time.Duration // on the clock of Run: until then the deadline of conn reaches

	mu          sync.Mutex // guards conn against Interrupt, and interrupted
	interrupted bool
}

func newHTTPVU(h *HTTP, timeout time.Duration) *httpVU {
	v := &httpVU{target: h, timeout: timeout, request: h.keepAlive, stream: newStream(h.request.Method)}
	if h.config.NoKeepAlive {
		v.request = h.closing
	}
	return v
}

func (v *httpVU) Connected() bool { return v.conn != nil }

func (v *httpVU) Connect(ctx context.Context) Class {
	conn, err := v.target.connect(ctx, v.timeout)
	if err != nil {
		return Classify(err, Dial)
	}
	if speaksHTTP2(conn) {
		if v.http2, err = newHTTP2VU(ctx, v.target, conn, v.timeout); err != nil {
			conn.Close()
			return classifyHTTP2(err)
		}
	}
	v.mu.Lock()
	v.conn = conn
	if v.interrupted {
		conn.SetDeadline(time.Now())
	}
	v.mu.Unlock()
	v.until = 0
	return OK
}

// slack is how much later than its timeout a request may be given up. Setting a deadline costs a lock and a timer, so
// one that is far enough away is left as it is, and most requests set none.
func slack(timeout time.Duration) time.Duration { return min(timeout/2, time.Second/2) }

func (v *httpVU) Do(now time.Duration) Class {
	if v.http2 != nil {
		class, closing := v.http2.do()
		if closing || v.target.config.NoKeepAlive {
			v.drop()
		}
		return class
	}
	if v.until < now+v.timeout {
		v.mu.Lock()
		if !v.interrupted {
			reach := v.timeout + slack(v.timeout)
			v.conn.SetDeadline(time.Now().Add(reach))
			v.until = now + reach
		}
		v.mu.Unlock()
	}
	whole, err := v.stream.exchange(v.conn, v.request)
	if len(v.request) > atOnce {
		v.until = 0
	}
	switch {
	case err != nil:
		v.drop()
		return classifyAnswer(err)
	case !whole || v.stream.answer.closing() || v.target.config.NoKeepAlive:
		v.drop()
	}
	if !ok(v.stream.answer.status()) {
		return Status
	}
	return OK
}

func (v *httpVU) Interrupt() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.interrupted = true
	if v.conn != nil {
		v.conn.SetDeadline(time.Now())
	}
}

// drop closes a connection that is of no more use. A reset in place of a FIN leaves no port in TIME_WAIT, of which there
// are only some 28 000 towards one server; there is nothing left that a reset could destroy.
func (v *httpVU) drop() {
	conn := v.conn
	if secure, is := conn.(*tls.Conn); is {
		conn = secure.NetConn().(*belowTLS).Conn
	}
	if tcp, is := conn.(*net.TCPConn); is {
		tcp.SetLinger(0)
	}
	if v.http2 != nil {
		v.http2.close()
		v.http2 = nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.conn.Close()
	v.conn = nil
}

func (v *httpVU) Close() {
	if v.conn == nil {
		return
	}
	v.mu.Lock()
	interrupted := v.interrupted
	v.mu.Unlock()
	if !interrupted && v.http2 == nil {
		linger(v.conn)
	}
	v.drop()
}
