package inject

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// HTTPConfig says what an [HTTP] target is asked, and how. Only URL has to be set.
type HTTPConfig struct {
	URL    *url.URL    // http or https; user and password become basic authentication
	Method string      // empty: GET
	Header http.Header // of every request, beside those that the protocol needs; Host replaces that of URL
	Body   []byte      // of every request; empty: none

	// Socket is the path of a unix socket to connect to, in place of the host of URL. Empty: TCP.
	Socket string
	// NoKeepAlive makes a new connection for each request. The zero value keeps one connection per VU.
	NoKeepAlive bool
	// Insecure accepts whatever certificate an https server shows.
	Insecure bool
	// NoHTTP2 speaks HTTP/1.1 to an https server that would rather speak HTTP/2.
	NoHTTP2 bool
}

// HTTP is a target that speaks HTTP/1.1, and over TLS HTTP/2 where the server prefers that. All requests are the same.
// Proxies that the environment names are not used: they would be measured, too.
type HTTP struct {
	config    HTTPConfig
	request   *http.Request
	keepAlive []byte // the request in HTTP/1.1
	closing   []byte // the same with Connection: close
	authority string // host:port of the URL
	tls       *tls.Config
	transport *http.Transport        // for HTTP/2
	address   atomic.Pointer[string] // host:port; after Probe the address that answered, so that no VU waits for DNS
	protocol  atomic.Pointer[string] // that Probe found

	blocking bool // a goroutine for each VU also where an event loop could do it; for tests
}

// NewHTTP returns a target for c. An error says what is wrong with it; it never shows a password.
func NewHTTP(c HTTPConfig) (*HTTP, error) {
	u := c.URL
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%s: scheme %q is not supported; use http or https", Display(u), u.Scheme)
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("%s: the host is missing", Display(u))
	}
	h := &HTTP{config: c}
	var err error
	if h.request, err = newRequest(c); err != nil {
		return nil, err
	}
	if h.keepAlive, err = wire(h.request, false); err != nil {
		return nil, err
	}
	if h.closing, err = wire(h.request, true); err != nil {
		return nil, err
	}
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	h.authority = net.JoinHostPort(u.Hostname(), port)
	address := h.authority
	if c.Socket != "" {
		address = c.Socket
	}
	h.address.Store(&address)
	if u.Scheme == "https" {
		h.tls = &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: c.Insecure, NextProtos: []string{"h2", "http/1.1"}}
		if c.NoHTTP2 {
			h.tls.NextProtos = []string{"http/1.1"}
		}
		h.transport = newHTTP2Transport()
	}
	return h, nil
}

// Display returns a URL as it may be shown: without user and password, of which the user may be a secret as well.
func Display(u *url.URL) string {
	shown := *u
	shown.User = nil
	return shown.String()
}

// String returns what the target loads, as it may be shown.
func (h *HTTP) String() string {
	shown := Display(h.config.URL)
	if h.config.Socket != "" {
		shown = "unix:" + h.config.Socket + ":" + h.config.URL.RequestURI()
	}
	if h.request.Method != http.MethodGet {
		shown = h.request.Method + " " + shown
	}
	return shown
}

// Probe makes one request on a connection of its own, to find out whether a level makes sense at all. It returns the
// failure, with what the server said of it. When it returns, the server has closed its side as well, so the probe is
// not there any more when the VUs connect. From then on VUs connect to the address that answered.
func (h *HTTP) Probe(ctx context.Context, timeout time.Duration) error {
	conn, err := h.connect(ctx, timeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })()
	conn.SetDeadline(time.Now().Add(timeout))
	status, protocol, excerpt, err := h.ask(ctx, conn)
	if err != nil {
		return err
	}
	if !ok(status) {
		line, _, _ := strings.Cut(strings.TrimSpace(string(excerpt)), "\n")
		return &Failure{Status, fmt.Errorf("the server answered %d, not 2xx: %q", status, line)}
	}
	linger(conn)
	h.protocol.Store(&protocol)
	if h.config.Socket == "" {
		address := conn.RemoteAddr().String()
		h.address.Store(&address)
	}
	return nil
}

// excerptSize is how much of an answer's body is worth showing.
const excerptSize = 200

// ask makes one request on conn, after which the server closes it. The error is a *Failure.
func (h *HTTP) ask(ctx context.Context, conn net.Conn) (status int, protocol string, excerpt []byte, err error) {
	if speaksHTTP2(conn) {
		client, err := h.clientConn(ctx, conn)
		if err != nil {
			return 0, "", nil, &Failure{classifyHTTP2(err), err}
		}
		defer client.Close()
		resp, err := client.RoundTrip(h.newHTTP2Request(ctx))
		if err != nil {
			return 0, "", nil, &Failure{classifyHTTP2(err), err}
		}
		defer resp.Body.Close()
		excerpt, err = io.ReadAll(io.LimitReader(resp.Body, excerptSize))
		if err != nil {
			return 0, "", nil, &Failure{classifyHTTP2(err), err}
		}
		return resp.StatusCode, resp.Proto, excerpt, nil
	}
	excerpt = make([]byte, 0, excerptSize)
	s := newStream(h.request.Method)
	s.answer.excerpt = &excerpt
	if _, err := s.exchange(conn, h.closing); err != nil {
		return 0, "", nil, &Failure{classifyAnswer(err), err}
	}
	return s.answer.status(), "HTTP/1.1", excerpt, nil
}

// Address is the host:port, or the path of a unix socket, that VUs connect to.
func (h *HTTP) Address() string { return *h.address.Load() }

// Protocol is what the server spoke when it was probed, HTTP/1.1 or HTTP/2.0; empty before.
func (h *HTTP) Protocol() string {
	if p := h.protocol.Load(); p != nil {
		return *p
	}
	return ""
}

// network is that of Address, as package net names it.
func (h *HTTP) network() string {
	if h.config.Socket != "" {
		return "unix"
	}
	return "tcp"
}

// connect dials and shakes hands. The error is a *Failure.
func (h *HTTP) connect(ctx context.Context, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, h.network(), h.Address())
	if err != nil {
		return nil, &Failure{Classify(err, Dial), err}
	}
	if h.tls == nil {
		return conn, nil
	}
	secure := tls.Client(&belowTLS{Conn: conn}, h.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		class := Classify(err, TLS)
		if class != Timeout {
			class = TLS // also where the server ended the connection in the middle of the handshake
		}
		return nil, &Failure{class, err}
	}
	return secure, nil
}

// belowTLS is a connection that carries TLS. TLS has an end of its own, without which an answer that only the end of the
// connection would end is cut off (RFC 9112, section 9.8); package tls does not tell one end from the other.
type belowTLS struct {
	net.Conn
	reset atomic.Bool // Write was told so, and the kernel tells it once
}

// errCut says that a connection ended and TLS on it had not.
var errCut = fmt.Errorf("no end of TLS: %w", io.ErrUnexpectedEOF)

func (c *belowTLS) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	switch {
	case err != io.EOF:
	case c.reset.Load():
		err = syscall.ECONNRESET
	default:
		err = errCut
	}
	return n, err
}

func (c *belowTLS) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if errors.Is(err, syscall.ECONNRESET) {
		c.reset.Store(true)
	}
	return n, err
}

// ok reports whether a status is a success. A redirect is none: it says that the request was not served here.
func ok(status int) bool { return 200 <= status && status < 300 }

// lingering is how long a VU waits for the server to close its side of a connection. Then the next level does not
// meet the connections of the last one still being counted by the server. With what a loop may be late, less than a second.
const lingering = 3 * time.Second / 4

// linger ends our side of a connection and waits for the other.
func linger(conn net.Conn) {
	half, is := conn.(interface{ CloseWrite() error })
	if !is || half.CloseWrite() != nil {
		return
	}
	conn.SetReadDeadline(time.Now().Add(lingering))
	var scrap [512]byte
	for {
		if _, err := conn.Read(scrap[:]); err != nil {
			return
		}
	}
}

// NewVU returns a virtual user with a connection of its own.
func (h *HTTP) NewVU(timeout time.Duration) VU {
	return newHTTPVU(h, timeout)
}
