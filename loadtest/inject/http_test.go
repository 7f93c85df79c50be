package inject

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
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
			require.Less(t, m.Requests, m.Completed, "warm-up and the last requests do not count")
			require.EqualValues(t, m.Requests, m.Latency.TotalCount())
			require.Equal(t, 200*time.Millisecond, m.Window)
			if closing {
				require.GreaterOrEqual(t, connections.Load(), served.Load())
				require.Positive(t, m.Connects)
			} else {
				require.EqualValues(t, 8, connections.Load())
				require.Zero(t, m.Connects)
				// The server's side of every connection is closed when Run returns; only its hook may come later.
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
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Millisecond) }))
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
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	require.NotContains(t, string(stacks), "inject.Run")
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
