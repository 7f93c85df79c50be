package inject

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// HTTPConfig says what an [HTTP] target is asked, and how. Only URL has to be set.
type HTTPConfig struct {
	URL    *url.URL    // http or https; user and password become basic authentication
	Method string      // empty: GET
	Header http.Header // of every request, beside those that the protocol needs
	Body   []byte      // of every request; empty: none

	// Address is the host:port to connect to, in place of that of URL. Empty: that of URL. A host
	// in Header names what is asked for instead of that of URL, to TLS as well. Either leads to one
	// of the servers behind a name.
	Address string
	// Socket is the path of a unix socket to connect to, in place of the host of URL. Empty: TCP.
	Socket string
	// Requests, if there are any, are what VUs ask in place of Method, Body, and path and query of
	// URL. Each VU draws one after the other, by their weights, from Seed and from nothing else but
	// its number and that of the round: of the run of this target, or of the slice of a session.
	Requests []Request
	Seed     uint64
	// First are what each VU asks before its first run begins, in their order, on connections of
	// their own. One that fails ends the run.
	First []Request
	// Sequence counts numbered requests. Targets that share it never use a number twice. Nil: one of
	// the target's own.
	Sequence *atomic.Uint64
	// Source is where Requests come from, as it may be shown: the name of a file.
	Source string
	// Cookies makes each VU keep the cookies that the server sets, from one run to the next, and
	// send them back.
	Cookies bool

	// NoKeepAlive makes a new connection for each request. The zero value keeps one connection per
	// VU.
	NoKeepAlive bool
	// Insecure accepts whatever certificate an https server shows.
	Insecure bool
	// Authorities vouch for the certificate of an https server. Nil: those that the system trusts.
	Authorities *x509.CertPool
	// ServerName is the name that an https server is asked for by TLS, and that its certificate has
	// to have. Empty: that of Host in Header, else that of URL.
	ServerName string
	// Certificate is what this client shows to an https server that asks for one. Nil: none.
	Certificate *tls.Certificate
	// NoHTTP2 speaks HTTP/1.1 to an https server that would rather speak HTTP/2.
	NoHTTP2 bool
	// Expect is what an answer must be to be a success. The zero value wants a status of 2xx.
	Expect Expect
	// Compare is what is counted of answers beside their status, see [Measurement]. The zero value:
	// nothing.
	Compare Compare
}

// HTTP is a target that speaks HTTP/1.1, and over TLS HTTP/2 where the server prefers that. Proxies
// that the environment names are not used: they would be measured, too. Where VUs keep something
// from one run to the next, one run follows the other.
type HTTP struct {
	config    HTTPConfig
	request   *http.Request  // of which no other has another host
	questions []*question    // that are asked
	upTo      []uint64       // sums of their weights; nil: all are equal
	weight    uint64         // of all together
	rows      []Asked        // of results, by name; nil: there is one question
	sample    *question      // the first of them, with Connection: close
	sequence  *atomic.Uint64 // of numbered requests
	runs      atomic.Uint64
	authority string // host:port of the URL
	tls       *tls.Config
	transport *http.Transport // for HTTP/2
	expected  statusSet
	address   atomic.Pointer[string] // host:port, or the path of a socket
	pinned    atomic.Bool            // address is no name any more
	others    atomic.Pointer[[]string]
	protocol  atomic.Pointer[string] // that Probe found
	example   atomic.Pointer[string] // what Probe got

	mu    sync.Mutex // guards what follows
	begun int        // VUs that have made their first requests
	jars  []*jar     // of VUs, by their numbers
	vus   int        // that NewVU made

	blocking bool // a goroutine for each VU also where an event loop could do it; for tests
}

// NewHTTP returns a target for c. An error says what is wrong with it; it never shows a password.
func NewHTTP(c HTTPConfig) (*HTTP, error) {
	u := c.URL
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%s: scheme %q is not supported; use http or https", Display(u), u.Scheme)
	}
	host, err := asciiHost(u.Hostname())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", Display(u), err)
	}
	h := &HTTP{config: c}
	h.expected, _ = c.Expect.set()
	if h.request, err = newRequest(c); err != nil {
		return nil, err
	}
	if err := h.ask(); err != nil {
		return nil, err
	}
	if len(c.Expect.bodies) > 0 && slices.ContainsFunc(h.questions, func(q *question) bool { return q.toHead }) {
		return nil, errNoBody
	}
	port := u.Port()
	if port == "" {
		port = defaultPort(u.Scheme)
	}
	h.authority = net.JoinHostPort(host, port)
	address := h.authority
	switch {
	case c.Socket != "" && c.Address != "":
		return nil, fmt.Errorf("both the socket %s and the address %s to connect to: want one of them", c.Socket, c.Address)
	case c.Socket != "":
		address = c.Socket
	case c.Address != "":
		address = c.Address
		if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, fmt.Errorf("address to connect to: %w; want host:port", err)
		}
	}
	h.address.Store(&address)
	to, _, _ := net.SplitHostPort(address)
	h.pinned.Store(c.Socket != "" || isAddress(to))
	serverName := ""
	if c.ServerName != "" {
		if serverName, err = asciiHost(c.ServerName); err != nil {
			return nil, fmt.Errorf("name of the server for TLS: %w", err)
		}
	}
	if u.Scheme == "https" {
		name := host
		if h.request.Host != "" && h.request.Host != h.request.URL.Host {
			if name, err = asciiHost(hostname(h.request.Host)); err != nil {
				return nil, fmt.Errorf("header Host: %w", err)
			}
		}
		name, _, _ = strings.Cut(cmp.Or(serverName, name), "%") // a zone is this machine's own affair
		h.tls = c.TLS(name)
		h.tls.NextProtos = []string{"h2", "http/1.1"}
		if c.NoHTTP2 {
			h.tls.NextProtos = []string{"http/1.1"}
		}
		h.transport = newHTTP2Transport()
	}
	return h, nil
}

// TLS is how c speaks TLS with a server that is called name. It says nothing of what is spoken over
// TLS.
func (c HTTPConfig) TLS(name string) *tls.Config {
	config := &tls.Config{ServerName: name, InsecureSkipVerify: c.Insecure, RootCAs: c.Authorities}
	if c.Certificate != nil {
		// Also where the server names authorities of which the certificate is from none: it will
		// say so, where it would otherwise say that there is none.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return c.Certificate, nil
		}
	}
	return config
}

// hostname is the host of host:port or host alone, without brackets.
func hostname(hostport string) string { return (&url.URL{Host: hostport}).Hostname() }

// Display returns a URL as it may be shown: without user and password, of which the user may be a
// secret as well.
func Display(u *url.URL) string {
	shown := *u
	shown.User, shown.Fragment, shown.RawFragment = nil, "", ""
	return shown.String()
}

// String returns what the target loads, as it may be shown.
func (h *HTTP) String() string {
	shown := Display(h.config.URL)
	if h.config.Socket != "" {
		shown = "unix:" + h.config.Socket + ":" + h.config.URL.RequestURI()
	}
	if n := len(h.config.Requests); n > 0 {
		shown = fmt.Sprintf("%d requests of %s to %s", n, cmp.Or(h.config.Source, "a list"), h.authority)
		if h.config.Socket != "" {
			shown = fmt.Sprintf("%d requests of %s to unix:%s", n, cmp.Or(h.config.Source, "a list"), h.config.Socket)
		}
	} else if h.request.Method != http.MethodGet {
		shown = h.request.Method + " " + shown
	}
	return shown
}

// Probe makes one request on a connection of its own, the first where there are several, to find
// out whether a level makes sense at all. Before, it makes those that VUs make first. It returns
// the failure, with what the server said of it and nothing that is secret; [HTTP.Advice] knows what
// would help. When it returns, the server has closed its side as well, so the probe is not there
// any more when the VUs connect. From then on VUs connect to the address that answered.
func (h *HTTP) Probe(ctx context.Context, timeout time.Duration) error {
	var wanted bool // a client's certificate
	config := h.tls
	if config != nil {
		config = config.Clone()
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			wanted = true
			return cmp.Or(h.config.Certificate, new(tls.Certificate)), nil // of which the latter is none
		}
	}
	err := h.probe(ctx, config, timeout)
	var failure *Failure
	if err == nil || !errors.As(err, &failure) {
		return err
	}
	if limit := h.limitOf(failure); limit != nil {
		return limit
	}
	if wanted {
		failure.Err = &certificateError{failure.Err, h.config.Certificate != nil}
	}
	return err
}

func (h *HTTP) probe(ctx context.Context, config *tls.Config, timeout time.Duration) error {
	a := h.askerOf(0)
	if err := a.askFirst(ctx, config, timeout); err != nil {
		return err
	}
	a.take(h.sample)
	got, at, failure := a.askOnce(ctx, config, timeout, a.unexpected)
	if failure == nil {
		kind := kindOf(strconv.Itoa(got.status), got.saw.kind, got.saw.encoding)
		example := a.hide(fmt.Sprintf("%s %s %q", got.protocol, kind, got.saw.excerpt))
		h.example.Store(&example)
	}
	if failure == nil || failure.Class == Malformed { // another engine may think otherwise of the answer
		h.protocol.Store(&got.protocol)
		h.pin(ctx, at.String())
	}
	if failure == nil {
		return nil
	}
	return failure
}

// askOnce asks what is drawn on a connection of its own, to at. Where there is an answer, the
// server has closed its side, too. unexpected says what failure an answer is.
func (a *asker) askOnce(ctx context.Context, config *tls.Config, timeout time.Duration,
	unexpected func(status int, saw *sight) *Failure) (got probed, at net.Addr, failure *Failure) {
	conn, err := a.target.connect(ctx, config, timeout)
	if err != nil {
		return got, nil, a.hidden(err)
	}
	defer conn.Close()
	defer limit(ctx, conn, timeout)()
	got, err = a.ask(ctx, conn)
	if err == nil {
		if failure := unexpected(got.status, got.saw); failure != nil {
			return got, conn.RemoteAddr(), failure
		}
	}
	failure = a.hidden(err)
	if failure == nil || failure.Class == Malformed {
		linger(conn)
	}
	return got, conn.RemoteAddr(), failure
}

// hide replaces in a text what nobody but the server should read.
func (a *asker) hide(text string) string { return a.target.config.hideAll(text, a.jar.values()) }

// hidden returns a failure whose text shows no secret that a server may have sent back.
func (a *asker) hidden(err error) *Failure {
	var failure *Failure
	if !errors.As(err, &failure) {
		return nil
	}
	if text := a.hide(failure.Err.Error()); text != failure.Err.Error() {
		return &Failure{failure.Class, &hiddenError{text, failure.Err}}
	}
	return &Failure{failure.Class, failure.Err}
}

// statusError is an answer with a status that is no success.
type statusError struct {
	status int
	wanted string // the statuses that are
	line   string // the first of its body
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the server answered %d, not %s: %q", e.status, e.wanted, e.line)
}

// settle chooses the address that all VUs of a run connect to, where none has been chosen: who
// measures one server of several behind a name has to measure the same one all the time. Nothing is
// chosen where nobody takes a connection.
func (h *HTTP) settle(ctx context.Context, timeout time.Duration) {
	if h.pinned.Load() {
		return
	}
	if conn, err := h.dial(ctx, timeout); err == nil {
		conn.Close()
		h.pin(ctx, conn.RemoteAddr().String())
	}
}

// pin makes VUs connect to one address of those that the target's name has, from now on.
func (h *HTTP) pin(ctx context.Context, at string) {
	if h.pinned.Swap(true) {
		return
	}
	host, _, _ := net.SplitHostPort(h.Address())
	var others []string
	if used, err := netip.ParseAddrPort(at); err == nil {
		all, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", host) // it has just been found
		for _, ip := range all {
			if ip = ip.Unmap(); ip.WithZone("") != used.Addr().WithZone("") && !slices.Contains(others, ip.String()) {
				others = append(others, ip.String())
			}
		}
	}
	h.others.Store(&others)
	h.address.Store(&at)
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// Others are the addresses that the name of the server has beside that of Address. They get no
// load. Known after Probe.
func (h *HTTP) Others() []string {
	if o := h.others.Load(); o != nil {
		return *o
	}
	return nil
}

// Example is the answer to Probe, as people read it: protocol, status, type and encoding of its
// body, and the beginning of that. Empty before.
func (h *HTTP) Example() string {
	if e := h.example.Load(); e != nil {
		return *e
	}
	return ""
}

// limit makes what is done on conn end after the timeout, or when ctx is done, until stop is
// called.
func limit(ctx context.Context, conn net.Conn, timeout time.Duration) (stop func() bool) {
	conn.SetDeadline(time.Now().Add(timeout)) // first: it would overwrite that of a ctx that is done already
	return context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })
}

// probed is an answer to a probe.
type probed struct {
	protocol string
	status   int
	saw      *sight
}

// ask asks what is drawn on conn, after which the server closes it. The error is a *Failure.
func (a *asker) ask(ctx context.Context, conn net.Conn) (probed, error) {
	saw := newSight(HTTPConfig{Compare: CompareKinds, Expect: a.target.config.Expect})
	if speaksHTTP2(conn) {
		client, err := a.target.clientConn(ctx, conn)
		if err != nil {
			return probed{}, &Failure{classifyHTTP2(err), err}
		}
		defer client.Close()
		resp, err := client.RoundTrip(a.request(ctx))
		if err != nil {
			return probed{}, &Failure{classifyHTTP2(err), err}
		}
		defer resp.Body.Close()
		a.hear(resp.Header)
		most := int64(excerptSize)
		if saw.matching {
			most = MatchedSize
		}
		saw.setHead(resp.Header)
		if _, err := io.Copy(saw, io.LimitReader(resp.Body, most)); err != nil {
			return probed{}, &Failure{classifyHTTP2(err), err}
		}
		return probed{resp.Proto, resp.StatusCode, saw}, nil
	}
	s := newStream(a.drawn.request.Method, saw)
	s.answer.jar = a.jar
	if _, err := s.exchange(conn, a.bytes()); err != nil {
		return probed{}, &Failure{classifyAnswer(err), err}
	}
	return probed{"HTTP/1.1", s.answer.status(), saw}, nil
}

// Config is what the target was made of.
func (h *HTTP) Config() HTTPConfig { return h.config }

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

// dial connects without TLS. The error is a *Failure.
func (h *HTTP) dial(ctx context.Context, timeout time.Duration) (net.Conn, error) {
	dialer := net.Dialer{Timeout: timeout}
	conn, err := dialer.DialContext(ctx, h.network(), h.Address())
	if err != nil {
		return nil, &Failure{Classify(err, Dial), err}
	}
	return conn, nil
}

// connect dials and shakes hands; without a config there is no TLS. The error is a *Failure.
func (h *HTTP) connect(ctx context.Context, config *tls.Config, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := h.dial(ctx, timeout)
	if err != nil || config == nil {
		return conn, err
	}
	secure := tls.Client(&belowTLS{Conn: conn}, config)
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

// limitOf returns the limit of the injector that an error of connect is about, or nil. Of several
// addresses behind a name, one may be of a kind that this machine has none of.
func (h *HTTP) limitOf(err error) *LimitError {
	limit := asLimit(err)
	if limit == nil || !errors.Is(err, syscall.EADDRNOTAVAIL) {
		return limit
	}
	if !h.pinned.Load() {
		return nil
	}
	return limit
}

// belowTLS is a connection that carries TLS. TLS has an end of its own, without which an answer
// that only the end of the connection would end is cut off (RFC 9112, section 9.8); package tls
// does not tell one end from the other.
type belowTLS struct {
	net.Conn
	reset   atomic.Bool  // Write was told so, and the kernel tells it once
	now     bool         // Read does not wait
	written atomic.Int64 // bytes of the last request, at least
}

// errCut says that a connection ended and TLS on it had not.
var errCut = fmt.Errorf("no end of TLS: %w", io.ErrUnexpectedEOF)

func (c *belowTLS) Read(b []byte) (int, error) {
	var n int
	var err error
	if c.now {
		n, err = readNow(c.Conn, b)
	} else {
		n, err = c.Conn.Read(b)
	}
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
	c.written.Add(int64(n))
	if errors.Is(err, syscall.ECONNRESET) {
		c.reset.Store(true)
	}
	return n, err
}

// lingering is how long a VU waits for the server to close its side of a connection. Then the next
// level does not meet the connections of the last one still being counted by the server. With what
// a loop may be late, less than a second.
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

// NewVU returns a virtual user with a connection of its own. Those of a [Run] have made the first
// requests already, and this one has not.
func (h *HTTP) NewVU(timeout time.Duration) VU {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.vus++
	return newHTTPVU(h.askerOf(h.vus), timeout)
}
