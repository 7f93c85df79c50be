package inject

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// farAway reports whether a connection to ip would keep its local port after its end. The side that
// ends a connection first keeps its port for a minute, and on loopback Linux gives it to the next
// one after a second (tcp_tw_reuse).
//
// So what a level is done with is ended by a FIN, as everywhere, and where it is far away by a
// reset behind that FIN. The reset does the server no harm: all answers have come, and a program
// that reads finds the end of the connection that the FIN told of, and no error.
var farAway = func(ip netip.Addr) bool { return !ip.Unmap().IsLoopback() } // tests have another

// below returns the connection that carries conn, which may be TLS.
func below(conn net.Conn) net.Conn {
	if c := carrier(conn); c != nil {
		return c.Conn
	}
	return conn
}

// carrier returns what carries the TLS of conn; nil: it is not TLS.
func carrier(conn net.Conn) *belowTLS {
	if secure, is := conn.(*tls.Conn); is {
		return secure.NetConn().(*belowTLS)
	}
	return nil
}

// rest lets go of a connection that the server has ended since the last request. The class is
// Malformed where it said something else, which would be taken for the answer to the next request.
func (v *httpVU) rest() Class {
	switch {
	case v.conn == nil:
		return OK
	case v.http2 != nil:
		if v.http2.ended() {
			v.drop()
		}
		v.rested = true
		return OK
	}
	switch class := v.unasked(); class {
	case OK:
		v.rested = true
		v.acked, _ = acknowledged(below(v.conn))
	case Malformed:
		v.drop()
		return Malformed
	default:
		v.drop()
	}
	return OK
}

// unasked is what has come on the connection without a request, as [loop.unasked] has it.
func (v *httpVU) unasked() Class {
	read := func(b []byte) (int, error) { return readNow(v.conn, b) }
	if raw := carrier(v.conn); raw != nil {
		// TLS may have something to say that is no answer, so it has to be read.
		raw.now = true
		defer func() { raw.now = false }()
		read = v.conn.Read
	}
	n, err := read(v.stream.buf)
	switch {
	case n > 0:
		return v.stream.answer.unasked(v.stream.buf[:n])
	case errors.Is(err, errNothing):
		return OK
	}
	return Classify(err, Read)
}

// unprocessed reports that the server has not processed the last request: over HTTP/2 it has said
// so, or it had ended the connection before anything could be sent, or before it got anything of
// the first request after a rest. The end of the connection has then crossed the request (RFC 9112,
// section 9.5), which can be made again whatever its method is (RFC 9110, section 9.2.2).
func (v *httpVU) unprocessed() bool { return v.missed }

func (v *httpVU) forget() { v.missed = false }

// missing reports whether err, or an answer 408, says that the server had ended the connection
// before it got anything of the request. Its end has acknowledged nothing of it. A reset proves
// nothing: a server can read a request and reset before it has acknowledged it.
func (v *httpVU) missing(err error) bool {
	late := v.stream.answer.status() == http.StatusRequestTimeout
	unsent := v.stream.unsent
	if c := carrier(v.conn); c != nil {
		unsent = c.written.Load() == 0
	}
	switch {
	case unsent:
		// A connection that was made for this request should not end before it.
		return (v.rested || v.served) && (late || !v.stream.heard)
	case !v.rested:
		return false
	}
	answered := err == nil && late
	if !answered && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.EPIPE) {
		return false
	}
	acked, err := acknowledged(below(v.conn))
	return err == nil && acked == v.acked
}

// limit is what the last failure came from, if that was the injector.
func (v *httpVU) limit() *LimitError { return v.exhausted }

// nothing is an error that says that there is nothing to read now. Package tls takes it for one
// that passes.
type nothing struct{}

func (nothing) Error() string   { return "nothing to read now" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

var errNothing error = nothing{}

// readNow reads what has come, without waiting, whatever the deadline of conn is.
func readNow(conn net.Conn, b []byte) (n int, err error) {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, err
	}
	told := raw.Control(func(fd uintptr) { n, _, err = unix.Recvfrom(int(fd), b, unix.MSG_DONTWAIT) })
	switch {
	case told != nil:
		return 0, told
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return 0, errNothing
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}
