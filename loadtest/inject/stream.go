package inject

import (
	"context"
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
	excess bool // more came than the last answer
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
		s.excess = used < n
		switch {
		case bad != nil:
			return bad
		case s.answer.complete():
			return nil
		case err == io.EOF:
			return s.answer.end()
		case err != nil:
			return err
		}
	}
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
	v.until, v.stream.excess = 0, false
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
	if v.stream.excess {
		// An answer that nobody asked for would be taken for the answer to this request.
		v.drop()
		return Malformed
	}
	if _, err := v.conn.Write(v.request); err != nil {
		v.drop()
		return Classify(err, Write)
	}
	err := v.stream.read(v.conn)
	switch {
	case err != nil:
		v.drop()
		return classifyAnswer(err)
	case v.stream.answer.closing() || v.target.config.NoKeepAlive:
		v.dropComplete()
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

// drop closes a connection that is of no more use.
func (v *httpVU) drop() {
	if v.http2 != nil {
		v.http2.close()
		v.http2 = nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.conn.Close()
	v.conn = nil
}

// dropComplete closes a connection whose last answer is complete. A reset instead of a FIN leaves no port in
// TIME_WAIT, of which there are only some 28 000 towards one server; there is nothing left that a reset could destroy.
func (v *httpVU) dropComplete() {
	if tcp, is := v.conn.(*net.TCPConn); is {
		tcp.SetLinger(0)
	}
	v.drop()
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
