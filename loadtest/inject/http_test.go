package inject

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func target(t *testing.T, rawURL string, change ...func(*HTTPConfig)) *HTTP {
	t.Helper()
	u, err := url.Parse(rawURL)
	require.NoError(t, err)
	c := HTTPConfig{URL: u}
	for _, f := range change {
		f(&c)
	}
	h, err := NewHTTP(c)
	require.NoError(t, err)
	return h
}

func load(vus int) Load {
	return Load{VUs: vus, Warmup: 20 * time.Millisecond, Window: 200 * time.Millisecond, Timeout: 5 * time.Second}
}

func TestEveryRequestIsCounted(t *testing.T) {
	for name, closing := range map[string]bool{"keep-alive": false, "a connection for each request": true} {
		t.Run(name, func(t *testing.T) {
			var served, connections, open atomic.Int64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				served.Add(1)
				io.WriteString(w, "hello\n")
			}))
			server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
				switch s {
				case http.StateNew:
					connections.Add(1)
					open.Add(1)
				case http.StateClosed:
					open.Add(-1)
				}
			}
			server.Start()
			defer server.Close()

			m, err := Run(t.Context(), target(t, server.URL, func(c *HTTPConfig) { c.NoKeepAlive = closing }), load(8))
			require.NoError(t, err)
			require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
			require.EqualValues(t, served.Load(), m.Completed)
			require.EqualValues(t, len("hello\n")*int(m.Completed), m.Bodies)
			require.Less(t, m.Requests, m.Completed, "warm-up and the last requests do not count")
			require.EqualValues(t, m.Requests, m.Latency.TotalCount())
			require.Equal(t, 200*time.Millisecond, m.Window)
			if closing {
				require.GreaterOrEqual(t, connections.Load(), served.Load())
				require.Positive(t, m.ConnectSum)
			} else {
				require.EqualValues(t, 8, connections.Load())
				require.Zero(t, m.ConnectSum)
				// The server's side of every connection is closed when Run returns; only its hook
				// may come later.
				require.Eventually(t, func() bool { return open.Load() == 0 }, time.Second, time.Millisecond)
			}
		})
	}
}

func TestRequest(t *testing.T) {
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got = r }))
	defer server.Close()
	u := strings.Replace(server.URL, "http://", "http://user:secret@", 1) + "/a%20b?c=d&e"
	require.NoError(t, target(t, u).Probe(t.Context(), 5*time.Second))
	require.Equal(t, http.MethodGet, got.Method)
	require.Equal(t, "/a%20b?c=d&e", got.RequestURI)
	require.Equal(t, strings.TrimPrefix(server.URL, "http://"), got.Host)
	user, password, ok := got.BasicAuth()
	require.True(t, ok)
	require.Equal(t, "user", user)
	require.Equal(t, "secret", password)
}

func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that fails on purpose
	server.StartTLS()
	defer server.Close()
	h := target(t, server.URL)
	var failure *Failure
	require.ErrorAs(t, h.Probe(t.Context(), 5*time.Second), &failure)
	require.Equal(t, TLS, failure.Class, "nobody vouches for the certificate")

	h.tls.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	require.NoError(t, h.Probe(t.Context(), 5*time.Second))
	m, err := Run(t.Context(), h, load(2))
	require.NoError(t, err)
	require.Zero(t, m.Failures.Total())
	require.Positive(t, m.Requests)
}

// TestCertificates holds that a target trusts whom it is told to, asks for the name that it is told
// to ask for, and shows the certificate that it is given, also to a server that names other
// authorities.
func TestCertificates(t *testing.T) {
	valid := time.Now().Add(30 * time.Minute)
	servers, clients := certificate(t, valid, "app.example"), certificate(t, valid, "client.example")
	var asked atomic.Pointer[string]
	var shown atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked.Store(&r.TLS.ServerName)
		if r.TLS.PeerCertificates[0].Equal(clients.Leaf) {
			shown.Add(1)
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	others := x509.NewCertPool()
	others.AddCert(servers.Leaf)
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{servers},
		ClientAuth:   tls.RequireAnyClientCert,
		ClientCAs:    others,
	}
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	for _, http2 := range []bool{true, false} {
		h := target(t, server.URL, func(c *HTTPConfig) {
			c.Authorities, c.Certificate, c.ServerName, c.NoHTTP2 = others, &clients, "app.example", !http2
		})
		shown.Store(0)
		require.NoError(t, h.Probe(t.Context(), 5*time.Second))
		require.Equal(t, "app.example", *asked.Load())
		m, err := Run(t.Context(), h, load(2))
		require.NoError(t, err)
		require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
		require.EqualValues(t, m.Completed+1, shown.Load())
	}
	for name, tt := range map[string]struct {
		change func(*HTTPConfig)
		want   string
	}{
		"another authority": {func(c *HTTPConfig) { c.Authorities = x509.NewCertPool() }, "-cacert"},
		"another name":      {func(c *HTTPConfig) { c.ServerName = "other.example" }, "-servername"},
		"no certificate":    {func(c *HTTPConfig) { c.Certificate = nil }, "CERT=client.pem"},
	} {
		h := target(t, server.URL, func(c *HTTPConfig) {
			c.Authorities, c.Certificate, c.ServerName = others, &clients, "app.example"
			tt.change(c)
		})
		err := h.Probe(t.Context(), 5*time.Second)
		require.Error(t, err, name)
		require.Contains(t, h.Advice(t.Context(), err), tt.want, "%s: %v", name, err)
	}
}

// raw serves each connection with a function.
func raw(t *testing.T, serve func(net.Conn, *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				serve(conn, bufio.NewReader(conn))
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return "http://" + l.Addr().String()
}

// read reads one request and reports whether there was one.
func read(r *bufio.Reader) bool {
	req, err := http.ReadRequest(r)
	return err == nil && req != nil
}

func keys(m map[string]uint64) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	return names
}

// TestDeadlineMoves holds that the deadline of a connection moves on with its requests.
func TestDeadlineMoves(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Millisecond) }),
	)
	defer server.Close()
	m, err := Run(t.Context(), target(t, server.URL), Load{VUs: 2, Window: time.Second, Timeout: 200 * time.Millisecond})
	require.NoError(t, err)
	require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l.Close()
	h := target(t, "http://"+l.Addr().String())
	var failure *Failure
	require.ErrorAs(t, h.Probe(t.Context(), 5*time.Second), &failure)
	require.Equal(t, Dial, failure.Class)
	m, err := Run(t.Context(), h, load(1))
	require.NoError(t, err)
	require.Equal(t, []string{"dial"}, keys(m.Failures.ByName()))
	require.Less(t, m.Failures.Total(), uint64(30), "a server that is down is not hammered")
}

func TestProbeShowsWhatTheServerSays(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "it1 is missing: want 0 to 100\nmore", http.StatusBadRequest)
	}))
	defer server.Close()
	err := target(t, server.URL).Probe(t.Context(), 5*time.Second)
	require.EqualError(t, err, `status: the server answered 400, not 2xx: "it1 is missing: want 0 to 100"`)
}

// TestExample holds what of an answer is shown, and compared by a duel.
func TestExample(t *testing.T) {
	for want, header := range map[string]http.Header{
		`200 text/html "ok"`:      {"Content-Type": {"Text/HTML; charset=utf-8"}},
		`200 br "ok"`:             {"Content-Encoding": {"br"}},
		`200 a/b "ok"`:            {"Content-Type": {` "a/b" `}},
		`200 text/plain "ok"`:     nil,
		`202 *** "ok"`:            {"Content-Type": {"x/topsecret"}, "Status": {"202"}},
		`200 application/json ""`: {"Content-Type": {"application/json"}, "No-Body": {"1"}},
	} {
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			maps.Copy(w.Header(), header)
			w.Header().Add("Link", "</a>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints) // an interim answer, whose header is not that of the answer
			if header.Get("Status") != "" {
				w.WriteHeader(http.StatusAccepted)
			}
			if header.Get("No-Body") == "" {
				io.WriteString(w, "ok")
			}
		})
		plain, secure := httptest.NewServer(handler), httptest.NewUnstartedServer(handler)
		secure.EnableHTTP2 = true
		secure.StartTLS()
		for address, protocol := range map[string]string{plain.URL: "HTTP/1.1 ", secure.URL: "HTTP/2.0 "} {
			u, _, err := ParseAddress(address)
			require.NoError(t, err)
			h, err := NewHTTP(HTTPConfig{URL: u, Insecure: true, Header: http.Header{"X": {"x/topsecret"}}})
			require.NoError(t, err)
			require.NoError(t, h.Probe(t.Context(), 5*time.Second))
			require.Equal(t, protocol+want, h.Example())
		}
		plain.Close()
		secure.Close()
	}
}

func TestRunIsCanceled(t *testing.T) {
	begun := make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	go func() {
		for range 4 {
			<-begun
		}
		cancel(why)
	}()
	started := time.Now()
	l := load(4)
	l.Window = time.Minute
	m, err := Run(ctx, target(t, server.URL), l)
	require.ErrorIs(t, err, why)
	require.Less(t, time.Since(started), 5*time.Second)
	require.Zero(t, m.Failures.Total(), "what an interrupt breaks is no failure")
}

func TestRunLeavesNoGoroutine(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	_, err := Run(t.Context(), target(t, server.URL), load(16))
	require.NoError(t, err)
	// One that has said that it is done may still be on its last instruction.
	stacks := make([]byte, 1<<20)
	require.Eventually(t, func() bool {
		return !bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("inject.Run"))
	}, 10*time.Second, time.Millisecond)
}

func TestNewHTTPRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"ftp://user:secret@host/": "scheme",
		"http://user:secret@":     "the host is missing",
		"/path":                   "scheme",
	} {
		u, err := url.Parse(in)
		require.NoError(t, err)
		_, err = NewHTTP(HTTPConfig{URL: u})
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "secret")
		require.NotContains(t, err.Error(), "user")
	}
}

func TestClassify(t *testing.T) {
	got := map[string]Class{}
	for _, err := range []error{
		nil, io.EOF, io.ErrUnexpectedEOF, context.DeadlineExceeded, errors.New("x"),
		&Failure{Status, errors.New("x")}, fmt.Errorf("wrapped: %w", &Failure{Body, io.EOF}),
	} {
		got[fmt.Sprint(err)] = Classify(err, Read)
	}
	require.Empty(t, cmp.Diff(map[string]Class{
		"<nil>": OK, "EOF": EOF, "unexpected EOF": EOF, "context deadline exceeded": Timeout, "x": Read,
		"status: x": Status, "wrapped: body: EOF": Body,
	}, got))
}

func TestRequestAllocatesNothing(t *testing.T) {
	v := target(t, raw(t, func(c net.Conn, r *bufio.Reader) {
		buf, answer := make([]byte, 4096), []byte(okEmpty)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	})).NewVU(time.Minute)
	require.Equal(t, OK, v.Connect(t.Context()))
	defer v.Close()
	epoch := time.Now()
	require.Zero(t, testing.AllocsPerRun(200, func() {
		if class := v.Do(time.Since(epoch)); class != OK {
			panic(class)
		}
	}))
}

// TestFirstOfSeveralErrors: of several headers that cannot be set, another one was named each time.
func TestFirstOfSeveralErrors(t *testing.T) {
	u, err := url.Parse("http://localhost")
	require.NoError(t, err)
	for range 50 {
		_, err := NewHTTP(HTTPConfig{URL: u, Header: http.Header{"Upgrade": {"x"}, "Connection": {"x"}, "Te": {"x"}}})
		require.ErrorContains(t, err, "header Connection cannot be set")
	}
}

// slowToObey is a connection that takes a while to set a deadline.
type slowToObey struct{ net.Conn }

func (c slowToObey) SetDeadline(at time.Time) error {
	if time.Until(at) > 0 {
		time.Sleep(50 * time.Millisecond)
	}
	return c.Conn.SetDeadline(at)
}

// TestLimitIsCanceled: the deadline that should have ended a probe that was canceled was
// overwritten by that of its timeout.
func TestLimitIsCanceled(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	defer limit(ctx, slowToObey{near}, 3*time.Second)()
	begun := time.Now()
	_, err := near.Read(make([]byte, 1))
	require.Error(t, err)
	require.Less(t, time.Since(begun), 2*time.Second)
}
