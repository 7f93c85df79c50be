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

// clientConn begins HTTP/2 on conn. Unlike a transport, the connection that it returns repeats no request.
func (h *HTTP) clientConn(ctx context.Context, conn net.Conn) (*http.ClientConn, error) {
	return h.transport.NewClientConn(context.WithValue(ctx, connKey{}, conn), "https", h.authority)
}

// newHTTP2Request returns the request for one round trip.
func (h *HTTP) newHTTP2Request(ctx context.Context) *http.Request {
	req := h.request.WithContext(ctx)
	if req.GetBody != nil {
		req.Body, _ = req.GetBody() // of bytes in memory
	}
	return req
}

// http2VU makes requests over HTTP/2, one at a time: the closed loop is that of the VU, and what one connection could do
// at a time is for more VUs to show.
type http2VU struct {
	target  *HTTP
	client  *http.ClientConn
	timeout time.Duration
}

func newHTTP2VU(ctx context.Context, h *HTTP, conn net.Conn, timeout time.Duration) (*http2VU, error) {
	client, err := h.clientConn(ctx, conn)
	if err != nil {
		return nil, err
	}
	return &http2VU{target: h, client: client, timeout: timeout}, nil
}

// do makes one request. closing says that the connection is of no more use. An interrupt ends it by the deadline of the
// connection below.
func (v *http2VU) do() (class Class, closing bool) {
	ctx, cancel := context.WithTimeout(context.Background(), v.timeout)
	defer cancel()
	resp, err := v.client.RoundTrip(v.target.newHTTP2Request(ctx))
	if err != nil {
		return classifyHTTP2(err), true
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	switch {
	case err != nil:
		return classifyHTTP2(err), true
	case !ok(resp.StatusCode):
		return Status, v.client.Err() != nil
	}
	return OK, v.client.Err() != nil
}

func (v *http2VU) close() { v.client.Close() }

// streamError has the shape of what package net/http returns for a stream that failed, and hides: its errors convert
// themselves to any struct with these fields. Cause says whether the server reset it, or the client did, as it broke the
// protocol.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (streamError) Error() string { return "stream error" }

// classifyHTTP2 is the class of an error of an HTTP/2 connection.
func classifyHTTP2(err error) Class {
	var stream streamError
	switch {
	case errors.As(err, &stream):
		if stream.Cause != nil && stream.Cause.Error() == "received from peer" {
			return Reset
		}
		return Malformed
	case strings.Contains(err.Error(), "GOAWAY"), strings.Contains(err.Error(), "client connection lost"):
		return EOF
	case strings.Contains(err.Error(), "connection error: "), strings.Contains(err.Error(), "frame too large"),
		strings.Contains(err.Error(), "looked like an HTTP/1.1 header"):
		return Malformed
	}
	return Classify(err, Read)
}
