package inject

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/internal/race"
)

const (
	// patience is the timeout of requests to a server that is never in time.
	patience = 300 * time.Millisecond * race.Slowness
	// goodTime is how long a hostile server takes for a request that it treats well.
	goodTime = 2 * time.Millisecond
)

// hostile is a way to treat a client badly.
type hostile struct {
	name  string
	class Class
	// treat does it to a connection on which one request has just been read. It returns when the
	// connection is of no more use, unless keeps is set.
	treat func(net.Conn, *bufio.Reader)
	keeps bool
	// greet is treat, but done before a request has been read.
	greet func(net.Conn, *bufio.Reader)
	tcp   bool // not over a unix socket, which cannot be reset at will
}

const okHead = "HTTP/1.1 200 OK\r\n"

// say writes an answer and closes.
func say(s string) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, r *bufio.Reader) { io.WriteString(c, s) }
}

// sayReset writes an answer and resets.
func sayReset(s string) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, r *bufio.Reader) {
		io.WriteString(c, s)
		c.(*net.TCPConn).SetLinger(0)
	}
}

// sayHang writes an answer and waits until the client has had enough.
func sayHang(s string) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, r *bufio.Reader) {
		io.WriteString(c, s)
		io.Copy(io.Discard, r)
	}
}

// sayHalfClose writes an answer, ends this side and waits until the client has ended its own.
func sayHalfClose(s string) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, r *bufio.Reader) {
		io.WriteString(c, s)
		c.(interface{ CloseWrite() error }).CloseWrite()
		io.Copy(io.Discard, r)
	}
}

// trickle writes something, and more of it again and again, until the client has had enough.
func trickle(first, more string, pause time.Duration) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, r *bufio.Reader) {
		_, err := io.WriteString(c, first)
		for i := 0; err == nil; i = (i + 1) % len(more) {
			_, err = io.WriteString(c, more[i:i+1])
			time.Sleep(pause)
		}
	}
}

// flood writes something, and then something else without end.
func flood(first, more string) func(net.Conn, *bufio.Reader) {
	more = strings.Repeat(more, 64<<10/len(more))
	return func(c net.Conn, r *bufio.Reader) {
		_, err := io.WriteString(c, first)
		for err == nil {
			_, err = io.WriteString(c, more)
		}
	}
}

var hostiles = []hostile{
	{name: "closes without an answer", class: EOF, treat: say("")},
	{name: "closes in the status line", class: EOF, treat: say("HTTP/1.1 2")},
	{name: "closes in the head", class: EOF, treat: say(okHead + "Content-Le")},
	{name: "closes between two header lines", class: EOF, treat: say(okHead + "Content-Length: 0\r\n")},
	{name: "closes before the body", class: EOF, treat: say(okHead + "Content-Length: 10\r\n\r\n")},
	{name: "closes in the body", class: EOF, treat: say(okHead + "Content-Length: 10\r\n\r\nhalf")},
	{name: "closes in a chunk", class: EOF, treat: say(okHead + "Transfer-Encoding: chunked\r\n\r\n5\r\nhe")},
	{name: "closes before the last chunk", class: EOF,
		treat: say(okHead + "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n")},
	{name: "closes in the trailers", class: EOF, treat: say(okHead + "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n")},
	{name: "closes after an interim answer", class: EOF, treat: say("HTTP/1.1 100 Continue\r\n\r\n")},
	{name: "half-closes without an answer", class: EOF, treat: sayHalfClose("")},
	{name: "half-closes in the body", class: EOF, treat: sayHalfClose(okHead + "Content-Length: 10\r\n\r\nhalf")},
	{name: "half-closes before the request", class: EOF, greet: sayHalfClose("")},

	{name: "resets without an answer", class: Reset, tcp: true, treat: sayReset("")},
	{name: "resets in the head", class: Reset, tcp: true, treat: sayReset(okHead + "Content-Le")},
	{name: "resets after the head", class: Reset, tcp: true, treat: sayReset(okHead + "Content-Length: 10\r\n\r\n")},
	{name: "resets in the body", class: Reset, tcp: true, treat: sayReset(okHead + "Content-Length: 10\r\n\r\nhalf")},
	{name: "resets a body that only the end would end", class: Reset, tcp: true, treat: sayReset(okHead + "\r\nhalf")},
	{name: "resets in a chunk", class: Reset, tcp: true,
		treat: sayReset(okHead + "Transfer-Encoding: chunked\r\n\r\n5\r\nhe")},
	{name: "resets before the request", class: Reset, tcp: true, greet: sayReset("")},

	{name: "never answers", class: Timeout, treat: sayHang("")},
	{name: "hangs in the status line", class: Timeout, treat: sayHang("HTTP/1.1 ")},
	{name: "hangs in the head", class: Timeout, treat: sayHang(okHead + "Content-")},
	{name: "hangs in the body", class: Timeout, treat: sayHang(okHead + "Content-Length: 10\r\n\r\nhalf")},
	{name: "hangs in a chunk", class: Timeout, treat: sayHang(okHead + "Transfer-Encoding: chunked\r\n\r\n5\r\nhe")},
	{name: "hangs before the last chunk", class: Timeout,
		treat: sayHang(okHead + "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n")},
	{name: "never ends a body that only the end would end", class: Timeout, treat: sayHang(okHead + "\r\nhello")},
	{name: "trickles the head", class: Timeout, treat: trickle(okHead, "A: b\r\n", patience/5)},
	{name: "trickles the body", class: Timeout, treat: trickle(okHead+"Content-Length: 10000\r\n\r\n", "x", patience/5)},
	{name: "trickles chunks", class: Timeout,
		treat: trickle(okHead+"Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", patience/5)},
	{name: "floods interim answers", class: Timeout, treat: flood("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")},
	{name: "floods the body", class: Timeout, treat: flood(okHead+"Content-Length: 1000000000000\r\n\r\n", "x")},
	{name: "floods chunks", class: Timeout, treat: flood(okHead+"Transfer-Encoding: chunked\r\n\r\n", "4\r\nabcd\r\n")},

	{name: "endless header", class: Malformed, treat: flood(okHead, "A: b\r\n")},
	{name: "endless line", class: Malformed, treat: flood(okHead+"A: ", "b")},
	{name: "endless trailers", class: Malformed,
		treat: flood(okHead+"Transfer-Encoding: chunked\r\n\r\n0\r\n", "A: b\r\n")},
	{name: "speaks another protocol", class: Malformed, treat: sayHang("SSH-2.0-OpenSSH_9.2\r\n")},
	{name: "greets in another protocol", class: Malformed, greet: sayHang("220 mail ESMTP\r\n")},
	{name: "garbage without a line end", class: Malformed, treat: sayHang("\x00\x01\x02\x03\x04\x05\x06\x07")},
	{name: "TLS alert", class: Malformed, treat: say("\x15\x03\x03\x00\x02\x02\x46")},
	{name: "HTTP/2 settings", class: Malformed, treat: say("\x00\x00\x00\x04\x00\x00\x00\x00\x00")},
	{name: "HTTP/0.9", class: Malformed, treat: say("<html>hello</html>")},
	{name: "HTTP/3.0", class: Malformed, treat: sayHang("HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n")},
	{name: "two answers", class: Malformed, treat: sayHang(okEmpty + okEmpty)},
	{name: "body longer than its length", class: Malformed, treat: sayHang(okHead + "Content-Length: 2\r\n\r\nhello")},
	{name: "body longer than its length, then closes", class: Malformed,
		treat: say(okHead + "Connection: close\r\nContent-Length: 2\r\n\r\nhello")},
	{name: "chunk longer than its size", class: Malformed,
		treat: sayHang(okHead + "Transfer-Encoding: chunked\r\n\r\n2\r\nhello")},
	{name: "chunk size that is none", class: Malformed,
		treat: sayHang(okHead + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n")},
	{name: "body where none can be", class: Malformed, treat: sayHang("HTTP/1.1 204 No Content\r\n\r\nhello")},
	{name: "two lengths", class: Malformed, treat: sayHang(okHead + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nhey")},
	{name: "negative length", class: Malformed, treat: sayHang(okHead + "Content-Length: -1\r\n\r\n")},
	{name: "length and chunks", class: Malformed,
		treat: sayHang(okHead + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
	{name: "a blank before the first header line", class: Malformed,
		treat: sayHang(okHead + " A: b\r\nContent-Length: 0\r\n\r\n")},
	{name: "NUL in a header", class: Malformed, treat: sayHang(okHead + "A: \x00\r\nContent-Length: 0\r\n\r\n")},
	{name: "switches protocols", class: Malformed,
		treat: sayHang("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")},

	{name: "server error", class: Status, keeps: true, treat: say("HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops")},
	{name: "overload that closes", class: Status,
		treat: say("HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")},
	{name: "error until close", class: Status, treat: say("HTTP/1.0 500 Oops\r\n\r\noops")},
	{name: "not found in chunks", class: Status, keeps: true,
		treat: say("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n4\r\noops\r\n0\r\n\r\n")},
	{name: "redirect", class: Status, keeps: true,
		treat: say("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")},
	{name: "not modified", class: Status, keeps: true,
		treat: say("HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n")},
	{name: "status that nobody knows", class: Status, keeps: true,
		treat: say("HTTP/1.1 999 ?\r\nContent-Length: 0\r\n\r\n")},
}

// hostileServer treats every second request badly, or every second connection where that happens
// before a request, and keeps count.
type hostileServer struct {
	hostile
	config    *tls.Config // of connections that are treated well; nil: no TLS
	turn      atomic.Int64
	good, bad atomic.Uint64
}

func (s *hostileServer) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	if s.greet != nil {
		if s.turn.Add(1)%2 == 0 {
			time.Sleep(goodTime) // or a client that tries again at once would do nothing else
			s.bad.Add(1)
			s.greet(c, r)
			return
		}
	}
	if s.config != nil {
		secure := tls.Server(c, s.config)
		defer secure.Close()
		c, r = secure, bufio.NewReader(secure)
	}
	for n := 0; read(r); n++ {
		time.Sleep(goodTime)
		switch {
		case s.treat != nil && s.turn.Add(1)%2 == 0:
			s.bad.Add(1)
			s.treat(c, r)
			if !s.keeps {
				return
			}
		case s.greet != nil && n == 3: // so that there are more connections to be treated badly
			s.good.Add(1)
			io.WriteString(c, okHead+"Connection: close\r\nContent-Length: 0\r\n\r\n")
			return
		default:
			s.good.Add(1)
			io.WriteString(c, okEmpty)
		}
	}
}

// listen serves connections of a listener until the test ends.
func listen(t *testing.T, network, address string, serve func(net.Conn)) net.Addr {
	t.Helper()
	l, err := net.Listen(network, address)
	require.NoError(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr()
}

// require checks what a run measured against the server's own count. exact: each bad treatment was
// that of a request; else of a connection, and one that is made when the window closes is treated
// badly without a request that could fail.
func (s *hostileServer) require(t *testing.T, m Measurement, exact bool) {
	t.Helper()
	require.Positive(t, s.bad.Load())
	require.Positive(t, s.good.Load())
	require.Equal(t, s.good.Load(), m.Completed, "successes: %v", m.Failures.ByName())
	require.Equal(t, m.Failures.Total(), m.Failures[s.class], "%v", m.Failures.ByName())
	if exact {
		require.Equal(t, s.bad.Load(), m.Failures.Total())
		return
	}
	require.LessOrEqual(t, m.Failures.Total(), s.bad.Load())
	require.GreaterOrEqual(t, m.Failures.Total()+uint64(m.VUs), s.bad.Load())
}

// inject puts a little load on a server and holds that it ends in time.
func (s *hostileServer) inject(t *testing.T, h *HTTP) Measurement {
	t.Helper()
	l := Load{VUs: 2, Window: 150 * time.Millisecond, Timeout: 3 * time.Second}
	if s.class == Timeout {
		l.Timeout = patience
	}
	connecting := time.Duration(0)
	if s.greet != nil {
		connecting = l.Timeout // before the gun
	}
	begun := time.Now()
	m, err := Run(t.Context(), h, l)
	require.NoError(t, err)
	require.Less(t, time.Since(begun), connecting+l.Window+l.Timeout+time.Second)
	return m
}

// TestHostile holds that whatever a server does to every second request, the failures are as many
// as it did it to, all of one class, and that the requests between them succeed, as many as it
// served well.
func TestHostile(t *testing.T) {
	for _, way := range []struct {
		name     string
		network  string
		blocking bool
	}{
		{"loop", "tcp", false},
		{"loop on a unix socket", "unix", false},
		{"goroutines", "tcp", true},
	} {
		for _, b := range hostiles {
			if b.tcp && way.network != "tcp" {
				continue
			}
			t.Run(way.name+"/"+b.name, func(t *testing.T) {
				t.Parallel()
				s := &hostileServer{hostile: b}
				address, socket := "127.0.0.1:0", ""
				if way.network == "unix" {
					socket = filepath.Join(t.TempDir(), "s")
					address = socket
				}
				at := listen(t, way.network, address, s.serve)
				host := at.String()
				if socket != "" {
					host = "localhost"
				}
				h := target(t, "http://"+host+"/", func(c *HTTPConfig) { c.Socket = socket })
				h.blocking = way.blocking
				s.require(t, s.inject(t, h), b.greet == nil)
			})
		}
	}
}

// authority signs certificates for servers in tests.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tests"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{key, cert}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// config returns one for a server with a certificate for 127.0.0.1, or what change makes of it.
func (a *authority) config(t *testing.T, change ...func(*x509.Certificate)) *tls.Config {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	for _, f := range change {
		f(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, a.key.Public(), a.key)
	require.NoError(t, err)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: a.key}}}
}

// shake shakes hands with a configuration that the client should not like, and waits for it to go
// away.
func shake(config *tls.Config) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, r *bufio.Reader) {
		if tls.Server(c, config).Handshake() == nil {
			io.Copy(io.Discard, c)
		}
	}
}

// afterHello does something when the client's first message is there.
func afterHello(do func(net.Conn, *bufio.Reader)) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, r *bufio.Reader) {
		head, err := r.Peek(5)
		if err != nil {
			return
		}
		if _, err := r.Discard(5 + int(binary.BigEndian.Uint16(head[3:]))); err == nil {
			do(c, r)
		}
	}
}

// insecurely does something to the TCP connection below TLS.
func insecurely(do func(net.Conn, *bufio.Reader)) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, r *bufio.Reader) {
		below := c.(*tls.Conn).NetConn()
		do(below, bufio.NewReader(below))
		below.Close()
	}
}

// TestHostileTLS is TestHostile for what a server does in a TLS handshake, or to an answer inside
// TLS.
func TestHostileTLS(t *testing.T) {
	good := newAuthority(t)
	config := good.config(t)
	config.NextProtos = []string{"http/1.1"}
	demanding := good.config(t)
	demanding.ClientAuth = tls.RequireAnyClientCert
	old := good.config(t)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	other := good.config(t)
	other.NextProtos = []string{"spdy/1"}

	// A server hello, cut off in the middle of its first record.
	const half = "\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03"
	for _, b := range []hostile{
		{name: "wrong name", class: TLS, greet: shake(good.config(t, func(c *x509.Certificate) {
			c.IPAddresses, c.DNSNames = nil, []string{"elsewhere.example"}
		}))},
		{name: "expired", class: TLS,
			greet: shake(good.config(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }))},
		{name: "not yet valid", class: TLS,
			greet: shake(good.config(t, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }))},
		{name: "unknown authority", class: TLS, greet: shake(newAuthority(t).config(t))},
		{name: "only old versions", class: TLS, greet: shake(old)},
		{name: "another protocol", class: TLS, greet: shake(other)},
		{name: "wants a certificate of the client", class: TLS, greet: func(c net.Conn, r *bufio.Reader) {
			secure := tls.Server(c, demanding)
			secure.Handshake() // fails when the client has succeeded in it and sent a request
			io.Copy(io.Discard, c)
		}},
		{name: "garbage", class: TLS, greet: afterHello(sayHang("\x16\x03\x03\x00\x05hello"))},
		{name: "no TLS", class: TLS, greet: afterHello(say("HTTP/1.0 400 Bad Request\r\n\r\nThis is HTTP.\n"))},
		{name: "greets in another protocol", class: TLS, greet: sayHang("220 mail ESMTP\r\n")},
		{name: "alert", class: TLS, greet: afterHello(say("\x15\x03\x03\x00\x02\x02\x28"))},
		{name: "closes before the handshake", class: TLS, greet: sayHalfClose("")},
		{name: "closes after the first message", class: TLS, greet: afterHello(say(""))},
		{name: "closes in the handshake", class: TLS, greet: afterHello(say(half))},
		{name: "resets in the handshake", class: TLS, greet: afterHello(sayReset(half))},
		{name: "never shakes hands", class: Timeout, greet: sayHang("")},
		{name: "hangs in the handshake", class: Timeout, greet: afterHello(sayHang(half))},
		{name: "trickles the handshake", class: Timeout, greet: afterHello(trickle(half, "x", patience/5))},

		{name: "closes without an answer", class: EOF, treat: say("")},
		{name: "closes in the body", class: EOF, treat: say(okHead + "Content-Length: 10\r\n\r\nhalf")},
		{name: "cuts a body that only the end would end", class: EOF, treat: func(c net.Conn, r *bufio.Reader) {
			io.WriteString(c, okHead+"\r\nhalf")
			insecurely(say(""))(c, r) // without the alert that says that this was all
		}},
		{name: "resets", class: Reset, treat: insecurely(sayReset(""))},
		{name: "resets in the body", class: Reset, treat: func(c net.Conn, r *bufio.Reader) {
			io.WriteString(c, okHead+"Content-Length: 10\r\n\r\nhalf")
			insecurely(sayReset(""))(c, r)
		}},
		{name: "never answers", class: Timeout, treat: sayHang("")},
		{name: "trickles", class: Timeout, treat: trickle(okHead, "A: b\r\n", patience/5)},
		{name: "floods the body", class: Timeout, treat: flood(okHead+"Content-Length: 1000000000000\r\n\r\n", "x")},
		{name: "record that nobody can decrypt", class: TLS,
			treat: insecurely(sayHang("\x17\x03\x03\x00\x20" + strings.Repeat("x", 32)))},
		{name: "goes on without TLS", class: TLS, treat: insecurely(sayHang(okEmpty))},
		{name: "garbage inside", class: Malformed, treat: sayHang("SSH-2.0-OpenSSH_9.2\r\n")},
		{name: "two answers", class: Malformed, treat: sayHang(okEmpty + okEmpty)},
		{name: "server error", class: Status, keeps: true, treat: say("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")},
		{name: "redirect", class: Status, keeps: true,
			treat: say("HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")},
	} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			s := &hostileServer{hostile: b, config: config}
			h := target(t, "https://"+listen(t, "tcp", "127.0.0.1:0", s.serve).String()+"/")
			h.tls.RootCAs = good.pool()
			s.require(t, s.inject(t, h), b.greet == nil)
		})
	}
}

// readHTTP2Request reads the preface, the client's settings and the headers of a request, and
// reports whether there was one.
func readHTTP2Request(r *bufio.Reader) bool {
	if _, err := r.Discard(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")); err != nil {
		return false
	}
	for {
		head := make([]byte, 9)
		if _, err := io.ReadFull(r, head); err != nil {
			return false
		}
		if _, err := r.Discard(int(head[0])<<16 | int(head[1])<<8 | int(head[2])); err != nil {
			return false
		}
		if head[3] == 1 {
			return true
		}
	}
}

// frame is an HTTP/2 frame (RFC 9113, section 4.1).
func frame(kind, flags byte, stream uint32, payload string) string {
	n := len(payload)
	head := []byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}
	return string(binary.BigEndian.AppendUint32(head, stream)) + payload
}

// TestHostileHTTP2 is TestHostile for a server that speaks HTTP/2. What package net/http's server
// can do is done by it.
func TestHostileHTTP2(t *testing.T) {
	type connection struct{}
	below := func(r *http.Request) *net.TCPConn {
		return r.Context().Value(connection{}).(*tls.Conn).NetConn().(*net.TCPConn)
	}
	half := func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", "10")
		io.WriteString(w, "half")
		http.NewResponseController(w).Flush()
	}
	for _, b := range []struct {
		name  string
		class Class
		treat http.HandlerFunc
	}{
		{"resets the stream", Reset, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		{"resets the stream in the body", Reset, func(w http.ResponseWriter, r *http.Request) {
			half(w)
			panic(http.ErrAbortHandler)
		}},
		// Only one direction: what is still unread would make it a reset.
		{"closes the connection", EOF, func(w http.ResponseWriter, r *http.Request) {
			below(r).CloseWrite()
			<-r.Context().Done()
		}},
		{"closes the connection in the body", EOF, func(w http.ResponseWriter, r *http.Request) {
			half(w)
			below(r).CloseWrite()
			<-r.Context().Done()
		}},
		{"resets the connection", Reset, func(w http.ResponseWriter, r *http.Request) {
			below(r).SetLinger(0)
			below(r).Close()
			<-r.Context().Done()
		}},
		{"never answers", Timeout, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{"hangs in the body", Timeout, func(w http.ResponseWriter, r *http.Request) { half(w); <-r.Context().Done() }},
		{"trickles", Timeout, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				io.WriteString(w, "x")
				http.NewResponseController(w).Flush()
				time.Sleep(patience / 5)
			}
		}},
		{"floods the body", Timeout, func(w http.ResponseWriter, r *http.Request) {
			for x := bytes.Repeat([]byte("x"), 16<<10); r.Context().Err() == nil; {
				w.Write(x)
			}
		}},
		{"cuts the body", EOF, func(w http.ResponseWriter, r *http.Request) { half(w) }},
		{"server error", Status, func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "oops", http.StatusInternalServerError)
		}},
		{"redirect", Status, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) }},
	} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			s := &hostileServer{hostile: hostile{class: b.class}}
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(goodTime)
				if s.turn.Add(1)%2 == 0 {
					s.bad.Add(1)
					b.treat(w, r)
					return
				}
				s.good.Add(1)
			}))
			server.EnableHTTP2 = true
			server.Config.ConnContext = withValue(connection{})
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.StartTLS()
			defer server.Close()
			s.require(t, s.inject(t, target(t, server.URL, func(c *HTTPConfig) { c.Insecure = true })), true)
		})
	}
	const settings = 4
	config := newAuthority(t).config(t)
	config.NextProtos = []string{"h2"}
	for _, b := range []struct {
		name  string
		class Class
		say   func(net.Conn, *bufio.Reader)
		again bool // the request is made a second time, on another connection, before it fails
	}{
		{"goes away", EOF, sayHang(frame(settings, 0, 0, "") + frame(7, 0, 0, "\x00\x00\x00\x00\x00\x00\x00\x00")), true},
		{"goes away in anger and closes", EOF,
			say(frame(settings, 0, 0, "") + frame(7, 0, 0, "\x00\x00\x00\x00\x00\x00\x00\x0b")), true},
		{"goes away after the request and closes", EOF,
			say(frame(settings, 0, 0, "") + frame(7, 0, 0, "\x00\x00\x00\x01\x00\x00\x00\x00")), false},
		{"closes at once", EOF, say(""), false},
		{"never says anything", Timeout, sayHang(""), false},
		{"refuses the stream", Reset, sayHang(frame(settings, 0, 0, "") + frame(3, 0, 1, "\x00\x00\x00\x07")), true},
		{"data without headers", Malformed, sayHang(frame(settings, 0, 0, "") + frame(0, 0, 1, "hello")), false},
		{"headers that cannot be decoded", Malformed,
			sayHang(frame(settings, 0, 0, "") + frame(1, 4, 1, "\xff\xff\xff\xff\xff\xff")), false},
		{"frame too large", Malformed, sayHang(frame(settings, 0, 0, "") + "\xff\xff\xff\x00\x00\x00\x00\x00\x01"), false},
		{"answers in HTTP/1.1", Malformed, sayHang("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), false},
		{"garbage", Malformed, sayHang(strings.Repeat("\x00", 100)), false},
	} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			var bad atomic.Uint64
			at := listen(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
				secure := tls.Server(c, config)
				defer secure.Close()
				r := bufio.NewReader(secure)
				if !readHTTP2Request(r) {
					return
				}
				time.Sleep(goodTime)
				bad.Add(1)
				b.say(secure, r)
			})
			s := &hostileServer{hostile: hostile{class: b.class}}
			m := s.inject(t, target(t, "https://"+at.String()+"/", func(c *HTTPConfig) { c.Insecure = true }))
			require.Zero(t, m.Completed)
			require.Positive(t, bad.Load())
			require.Equal(t, m.Failures.Total(), m.Failures[b.class], "%v", m.Failures.ByName())
			if !b.again {
				require.Equal(t, bad.Load(), m.Failures.Total())
				return
			}
			require.LessOrEqual(t, 2*m.Failures.Total(), bad.Load())
			require.GreaterOrEqual(t, 2*m.Failures.Total()+uint64(m.VUs), bad.Load())
		})
	}
}

// withValue makes the connection of a request available to its handler.
func withValue(key any) func(ctx context.Context, c net.Conn) context.Context {
	return func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, key, c) }
}
