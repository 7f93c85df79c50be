package inject

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// speaksHTTP2 reports whether the server chose HTTP/2 for conn.
func speaksHTTP2(conn net.Conn) bool {
	secure, is := conn.(*tls.Conn)
	return is && secure.ConnectionState().NegotiatedProtocol == "h2"
}

// newHTTP2Transport returns a transport that speaks HTTP/2 on connections that are made already.
func newHTTP2Transport() *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	return &http.Transport{
		Protocols:          &protocols,
		DisableCompression: true, // the request is to be the one that was asked for
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return ctx.Value(connKey{}).(net.Conn), nil
		},
	}
}

// connKey is under which a context carries the connection for the transport.
type connKey struct{}

// clientConn begins HTTP/2 on conn. Unlike a transport, the connection that it returns repeats no
// request.
func (h *HTTP) clientConn(ctx context.Context, conn net.Conn) (*http.ClientConn, error) {
	return h.transport.NewClientConn(context.WithValue(ctx, connKey{}, conn), "https", h.authority)
}

// http2VU makes requests over HTTP/2, one at a time: the closed loop is that of the VU, and what
// one connection could do at a time is for more VUs to show.
type http2VU struct {
	asker   *asker
	client  *http.ClientConn
	timeout time.Duration

	missed bool // the server has said that it has not processed the last request
	unsent bool // the connection had ended before the last request could be sent on it

	length int64  // of the body of the last answer
	status int    // of the last complete answer
	told   int64  // how long its body was, as the server said it
	saw    *sight // what else is kept of it; nil: nothing
	buf    []byte // for bodies that are looked at
}

func newHTTP2VU(ctx context.Context, a *asker, conn net.Conn, timeout time.Duration, saw *sight) (*http2VU, error) {
	client, err := a.target.clientConn(ctx, conn)
	if err != nil {
		return nil, err
	}
	v := &http2VU{asker: a, client: client, timeout: timeout, saw: saw}
	if saw != nil {
		v.buf = make([]byte, streamBuffer)
	}
	return v, nil
}

// do makes the request that is drawn. closing says that the connection is of no more use. An
// interrupt ends it by the deadline of the connection below.
func (v *http2VU) do() (class Class, closing bool) {
	ctx, cancel := context.WithTimeout(context.Background(), v.timeout)
	defer cancel()
	resp, err := v.client.RoundTrip(v.asker.request(ctx))
	v.missed, v.unsent = unprocessedHTTP2(err), unsentHTTP2(err)
	if err != nil {
		return classifyHTTP2(err), true
	}
	v.asker.hear(resp.Header)
	v.length, err = v.read(resp)
	resp.Body.Close()
	if err != nil {
		return classifyHTTP2(err), true
	}
	v.status, v.told = resp.StatusCode, v.length
	if v.asker.drawn.toHead {
		v.told = max(resp.ContentLength, 0)
	}
	return v.asker.target.classOf(v.status, v.saw), v.ended()
}

// read reads the body of an answer, and returns how long it is.
func (v *http2VU) read(resp *http.Response) (int64, error) {
	if v.saw == nil {
		return io.Copy(io.Discard, resp.Body)
	}
	v.saw.begin()
	v.saw.setHead(resp.Header)
	return io.CopyBuffer(v.saw, resp.Body, v.buf)
}

// ended reports whether the connection takes no more requests: it has been closed, or the server
// has said that it goes away.
func (v *http2VU) ended() bool { return v.client.Err() != nil || v.client.Available() == 0 }

func (v *http2VU) close() { v.client.Close() }

// streamError has the shape of what package net/http returns for a stream that failed, and hides:
// its errors convert themselves to any struct with these fields. Cause says whether the server
// reset it, or the client did, as it broke the protocol.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (streamError) Error() string { return "stream error" }

// errUnusable is how package net/http begins what it says when no request can be made on a
// connection that the server has ended, or is about to.
const errUnusable = "http2: client conn "

// unprocessedHTTP2 reports whether err says that the server has not processed a request: its stream
// is above the last one that a GOAWAY names (RFC 9113, section 6.8), or was refused (section 8.7),
// or the GOAWAY came first.
func unprocessedHTTP2(err error) bool {
	if err == nil {
		return false
	}
	var stream streamError
	if errors.As(err, &stream) {
		return stream.Code == refusedStream && fromPeer(stream)
	}
	return strings.Contains(err.Error(), "Transport received ") && strings.Contains(err.Error(), "GOAWAY") ||
		err.Error() == errUnusable+"not usable"
}

// refusedStream is the error code of a stream that was not processed.
const refusedStream = 7

// fromPeer reports whether it was the server that ended a stream.
func fromPeer(err streamError) bool {
	return err.Cause != nil && err.Cause.Error() == "received from peer"
}

// unsentHTTP2 reports whether err says that a connection had ended before a request could be sent
// on it.
func unsentHTTP2(err error) bool { return err != nil && strings.HasPrefix(err.Error(), errUnusable) }

// classifyHTTP2 is the class of an error of an HTTP/2 connection.
func classifyHTTP2(err error) Class {
	var stream streamError
	switch {
	case errors.As(err, &stream):
		if fromPeer(stream) {
			return Reset
		}
		return Malformed
	case strings.Contains(err.Error(), "GOAWAY"),
		strings.Contains(err.Error(), "client connection lost"),
		unsentHTTP2(err):
		return EOF
	case strings.Contains(err.Error(), "connection error: "), strings.Contains(err.Error(), "frame too large"),
		strings.Contains(err.Error(), "looked like an HTTP/1.1 header"):
		return Malformed
	}
	return Classify(err, Read)
}
