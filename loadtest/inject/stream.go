package inject

import (
	"bytes"
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
	unsent bool // nothing of the last request could be written
	heard  bool // something has come since
}

// streamBuffer holds most answers whole. Each VU has one, so it is not larger.
const streamBuffer = 4 << 10

func newStream(method string, saw *sight) *stream {
	return &stream{answer: answer{toHead: method == http.MethodHead, saw: saw}, buf: make([]byte, streamBuffer)}
}

// read reads one whole answer. The error is a *malformedError, io.ErrUnexpectedEOF for a connection
// that ended too early, or what the connection returned.
func (s *stream) read(from io.Reader) error {
	s.answer.begin()
	s.heard = false
	for {
		n, err := from.Read(s.buf)
		s.heard = s.heard || n > 0
		used, bad := s.answer.feed(s.buf[:n])
		switch {
		case bad != nil:
			return bad
		case used < n && len(bytes.Trim(s.buf[used:n], "\r\n")) == 0:
			return errExcessLine
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

// errExcess says that more came than the answer. Nobody asked for the rest, which would be taken
// for the next answer.
var errExcess = malformed("more than one answer")

// errExcessLine is the mildest case of it. A server may pass over empty lines before a request, and
// a client over none before an answer (RFC 9112, sections 2.2 and 6.3).
var errExcessLine = malformed("an empty line behind the answer, of which it is no part")

// atOnce is how much of a request surely fits the buffers of a connection, so that writing it does
// not wait for the server.
const atOnce = 16 << 10

// stragglers is how long the rest of a request may still be on its way into the buffers when its
// answer is there already.
const stragglers = 10 * time.Millisecond

// exchange sends a request and reads the answer, which may come before all of the request is sent.
// whole reports whether all of it was; else the connection is of no more use. The error is that of
// read, or a *Failure that says why the request could not be sent. A request of more than atOnce
// bytes leaves conn without the deadline that it had.
func (s *stream) exchange(conn net.Conn, request []byte) (whole bool, err error) {
	var unsent error
	if len(request) <= atOnce {
		var n int
		n, unsent = conn.Write(request)
		s.unsent = n == 0
		err = s.read(conn) // also then: a server that did not want the rest may have said why
	} else {
		sent := make(chan error, 1)
		go func() {
			n, err := conn.Write(request)
			s.unsent = n == 0
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
	asker   *asker
	conn    net.Conn // nil: none
	stream  *stream
	http2   *http2VU      // not nil: the server speaks HTTP/2 on conn
	until   time.Duration // on the clock of Run: until then the deadline of conn reaches

	rested    bool        // conn was at rest before the request
	served    bool        // conn has carried an answer
	acked     uint64      // bytes that the other side had acknowledged then
	missed    bool        // the server has not processed the last request
	exhausted *LimitError // that the last failure came from
	length    int64       // of the body of the last answer
	status    int         // of the last complete answer
	told      int64       // how long its body was, as the server said it

	mu          sync.Mutex // guards conn against Interrupt, and interrupted
	interrupted bool
}

func newHTTPVU(a *asker, timeout time.Duration) *httpVU {
	v := &httpVU{
		target: a.target, timeout: timeout, asker: a,
		stream: newStream(a.target.questions[0].request.Method, newSight(a.target.config)),
	}
	v.stream.answer.jar = a.jar
	return v
}

func (v *httpVU) Connected() bool { return v.conn != nil }

func (v *httpVU) Connect(ctx context.Context) Class {
	conn, err := v.target.connect(ctx, v.target.tls, v.timeout)
	v.exhausted = v.target.limitOf(err)
	if err != nil {
		return Classify(err, Dial)
	}
	if speaksHTTP2(conn) {
		if v.http2, err = newHTTP2VU(ctx, v.asker, conn, v.timeout, v.stream.answer.saw); err != nil {
			conn.Close()
			v.exhausted = asLimit(err)
			return classifyHTTP2(err)
		}
	}
	v.rested, v.served = false, false
	v.mu.Lock()
	v.conn = conn
	if v.interrupted {
		conn.SetDeadline(time.Now())
	}
	v.mu.Unlock()
	v.until = 0
	return OK
}

// slack is how much later than its timeout a request may be given up. Setting a deadline costs a
// lock and a timer, so one that is far enough away is left as it is, and most requests set none.
func slack(timeout time.Duration) time.Duration { return min(timeout/2, time.Second/2) }

// begin begins a round, in which the questions are others.
func (v *httpVU) begin(round uint64) {
	v.asker.begin(round)
	v.missed = false
}

func (v *httpVU) Do(now time.Duration) Class {
	if !v.missed { // else the same is asked again
		v.stream.answer.toHead = v.asker.draw().toHead
	}
	if v.http2 != nil {
		class, closing := v.http2.do()
		v.length, v.status, v.told = v.http2.length, v.http2.status, v.http2.told
		v.missed = v.http2.missed || v.http2.unsent && (v.rested || v.served)
		v.rested, v.served = false, true
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
	if c := carrier(v.conn); c != nil {
		c.written.Store(0)
	}
	request := v.asker.bytes()
	whole, err := v.stream.exchange(v.conn, request)
	v.length = v.stream.answer.length
	if len(request) > atOnce {
		v.until = 0
	}
	v.missed = (err != nil || v.stream.answer.status() == http.StatusRequestTimeout) && v.missing(err)
	v.rested, v.served = false, true
	switch {
	case err != nil:
		v.exhausted = asLimit(err)
		v.drop()
		return classifyAnswer(err)
	case v.missed:
		v.drop()
	case !whole || v.stream.answer.closing() || v.target.config.NoKeepAlive:
		v.drop()
	}
	v.status, v.told = v.stream.answer.status(), v.stream.answer.told()
	return v.target.classOf(v.status, v.stream.answer.saw)
}

// row is that of the last request.
func (v *httpVU) row() uint16 { return v.asker.drawn.row }

// body is how long the body of the last answer was.
func (v *httpVU) body() int64 { return v.length }

// note counts the last answer, which was complete.
func (v *httpVU) note(c *census, succeeded bool) {
	c.add(v.status, v.told, v.stream.answer.saw, succeeded)
}

func (v *httpVU) Interrupt() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.interrupted = true
	if v.conn != nil {
		v.conn.SetDeadline(time.Now())
	}
}

// drop closes a connection that is of no more use. A reset in place of a FIN leaves no port in
// TIME_WAIT, of which there are only some 28 000 towards one server; there is nothing left that a
// reset could destroy.
func (v *httpVU) drop() {
	if tcp, is := below(v.conn).(*net.TCPConn); is {
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
	switch {
	case interrupted || v.http2 != nil:
	case v.isFar():
		end(v.conn)
	default:
		linger(v.conn)
	}
	v.drop()
}

// isFar reports whether the local port would be kept after the end of the connection.
func (v *httpVU) isFar() bool {
	to, is := v.conn.RemoteAddr().(*net.TCPAddr)
	return is && farAway(to.AddrPort().Addr())
}

// end ends our side of conn, and of what carries it.
func end(conn net.Conn) {
	if tcp, is := below(conn).(*net.TCPConn); is {
		if secure, is := conn.(*tls.Conn); is {
			secure.CloseWrite()
		}
		tcp.CloseWrite()
	}
}
