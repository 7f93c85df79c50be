package inject

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// HTTPConfig says what an [HTTP] target is asked, and how.
type HTTPConfig struct {
	URL *url.URL // http or https; user and password become basic authentication
	// NoKeepAlive makes a new connection for each request. The zero value keeps one connection per VU.
	NoKeepAlive bool
}

// HTTP is a target that speaks HTTP/1.1, over TLS where the URL says https. All requests are the same bytes, made once.
type HTTP struct {
	config    HTTPConfig
	keepAlive []byte // the request
	closing   []byte // the request with Connection: close
	tls       *tls.Config
	address   atomic.Pointer[string] // host:port; after Probe the address that answered, so that no VU waits for DNS
}

// NewHTTP returns a target for the URL of c. An error says what is wrong with the URL; it never shows a password.
func NewHTTP(c HTTPConfig) (*HTTP, error) {
	u := c.URL
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%s: scheme %q is not supported; use http or https", Display(u), u.Scheme)
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("%s: the host is missing", Display(u))
	}
	h := &HTTP{config: c}
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	address := net.JoinHostPort(u.Hostname(), port)
	h.address.Store(&address)
	if u.Scheme == "https" {
		h.tls = &tls.Config{ServerName: u.Hostname(), NextProtos: []string{"http/1.1"}}
	}
	h.keepAlive = request(u, "")
	h.closing = request(u, "Connection: close\r\n")
	return h, nil
}

// Display returns a URL as it may be shown: without user and password, of which the user may be a secret as well.
func Display(u *url.URL) string {
	shown := *u
	shown.User = nil
	return shown.String()
}

// request returns the bytes of a GET of u.
func request(u *url.URL, extra string) []byte {
	var b strings.Builder
	// RequestURI escapes what does not belong into a request line, so that no URL can smuggle a header in.
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: rampart\r\nAccept: */*\r\n", u.RequestURI(), u.Host)
	if u.User != nil {
		password, _ := u.User.Password()
		credentials := base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + password))
		fmt.Fprintf(&b, "Authorization: Basic %s\r\n", credentials)
	}
	b.WriteString(extra + "\r\n")
	return []byte(b.String())
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
	if _, err := conn.Write(h.closing); err != nil {
		return &Failure{Classify(err, Write), err}
	}
	excerpt := make([]byte, 0, 200)
	r := newResponse(conn)
	r.excerpt = &excerpt
	status, err := r.read()
	if err != nil {
		return &Failure{classifyAnswer(err), err}
	}
	if !ok(status) {
		line, _, _ := strings.Cut(strings.TrimSpace(string(excerpt)), "\n")
		return &Failure{Status, fmt.Errorf("the server answered %d, not 2xx: %q", status, line)}
	}
	linger(conn)
	address := conn.RemoteAddr().String()
	h.address.Store(&address)
	return nil
}

// Address is the host:port that VUs connect to.
func (h *HTTP) Address() string { return *h.address.Load() }

// connect dials and shakes hands. The error is a *Failure.
func (h *HTTP) connect(ctx context.Context, timeout time.Duration) (net.Conn, error) {
	dialer := net.Dialer{Timeout: timeout}
	conn, err := dialer.DialContext(ctx, "tcp", *h.address.Load())
	if err != nil {
		return nil, &Failure{Classify(err, Dial), err}
	}
	if h.tls == nil {
		return conn, nil
	}
	secure := tls.Client(conn, h.tls)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, &Failure{Classify(err, TLS), err}
	}
	return secure, nil
}

// ok reports whether a status is a success. A redirect is none: it says that the request was not served here.
func ok(status int) bool { return 200 <= status && status < 300 }

// classifyAnswer is the class of an error met in reading an answer.
func classifyAnswer(err error) Class {
	var malformed *malformedError
	if errors.As(err, &malformed) {
		return Malformed
	}
	return Classify(err, Read)
}

// lingering is how long a VU waits for the server to close its side of a connection. Then the next level does not
// meet the connections of the last one still being counted by the server.
const lingering = time.Second

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
	v := &httpVU{target: h, timeout: timeout, request: h.keepAlive}
	if h.config.NoKeepAlive {
		v.request = h.closing
	}
	return v
}

type httpVU struct {
	target   *HTTP
	timeout  time.Duration
	request  []byte
	conn     net.Conn // nil: none
	response *response
	until    time.Duration // on the clock of Run: until then the deadline of conn reaches

	mu          sync.Mutex // guards conn against Interrupt, and interrupted
	interrupted bool
}

func (v *httpVU) Connected() bool { return v.conn != nil }

func (v *httpVU) Connect(ctx context.Context) Class {
	conn, err := v.target.connect(ctx, v.timeout)
	if err != nil {
		return Classify(err, Dial)
	}
	v.mu.Lock()
	v.conn = conn
	if v.interrupted {
		conn.SetDeadline(time.Now())
	}
	v.mu.Unlock()
	v.until = 0
	if v.response == nil {
		v.response = newResponse(conn)
	} else {
		v.response.reset(conn)
	}
	return OK
}

// slack is how much later than its timeout a request may be given up. Setting a deadline costs a lock and a timer, so
// one that is far enough away is left as it is, and most requests set none.
func (v *httpVU) slack() time.Duration { return min(v.timeout/2, time.Second/2) }

func (v *httpVU) Do(now time.Duration) Class {
	if v.until < now+v.timeout {
		v.mu.Lock()
		if !v.interrupted {
			v.conn.SetDeadline(time.Now().Add(v.timeout + v.slack()))
			v.until = now + v.timeout + v.slack()
		}
		v.mu.Unlock()
	}
	if v.response.buffered() > 0 {
		// An answer that nobody asked for would be taken for the answer to this request.
		v.drop()
		return Malformed
	}
	if _, err := v.conn.Write(v.request); err != nil {
		v.drop()
		return Classify(err, Write)
	}
	status, err := v.response.read()
	switch {
	case err != nil:
		v.drop()
		return classifyAnswer(err)
	case v.response.closing || v.target.config.NoKeepAlive:
		v.dropComplete()
	}
	if !ok(status) {
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
	if !interrupted {
		linger(v.conn)
	}
	v.drop()
}
