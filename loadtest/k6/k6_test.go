package k6

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
)

// The tests of this file run a real k6.

func TestEveryRequestIsCounted(t *testing.T) {
	needK6(t)
	for name, closing := range map[string]bool{"keep-alive": false, "a connection for each request": true} {
		t.Run(name, func(t *testing.T) {
			var served, connections atomic.Int64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(serviceTime)
				status := http.StatusOK
				if served.Add(1)%10 == 0 {
					status = http.StatusServiceUnavailable
				}
				w.WriteHeader(status)
			}))
			server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
				if s == http.StateNew {
					connections.Add(1)
				}
			}
			server.Start()
			defer server.Close()

			e := engine(t, server.URL, func(c *inject.HTTPConfig) { c.NoKeepAlive = closing })
			l := load(4)
			var edges []time.Time
			l.OnEdge = func() { edges = append(edges, time.Now()) }
			m, err := e.Inject(t.Context(), l)
			require.NoError(t, err)
			require.EqualValues(t, served.Load(), m.Completed+m.Failures.Total())
			require.EqualValues(t, served.Load()/10, m.Failures[inject.Status])
			require.Less(t, m.Requests, m.Completed, "warm-up and the last requests do not count")
			require.EqualValues(t, m.Requests, m.Latency.TotalCount())
			require.Greater(t, m.Quantile(0.5), serviceTime)
			require.Less(t, m.Mean(), 5*serviceTime)
			require.Equal(t, l.Window, m.Window)
			require.Len(t, edges, 2)
			require.InDelta(t, l.Window, edges[1].Sub(edges[0]), float64(100*time.Millisecond))
			if closing {
				require.Equal(t, served.Load(), connections.Load())
				require.Positive(t, m.ConnectSum)
			} else {
				require.EqualValues(t, 4, connections.Load())
				require.Zero(t, m.ConnectSum, "all connect in the warm-up")
			}
		})
	}
}

func TestRequestArrives(t *testing.T) {
	needK6(t)
	t.Parallel()
	var once sync.Once
	var got *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(serviceTime)
		b, _ := io.ReadAll(r.Body)
		http.SetCookie(w, &http.Cookie{Name: "crumb", Value: "x"})
		if _, err := r.Cookie("crumb"); err == nil {
			w.WriteHeader(http.StatusTeapot)
		}
		once.Do(func() { got, body = r, b })
	}))
	defer server.Close()
	sent := []byte("half \x00\xff\u2028\"'`${x}")
	raw := strings.Replace(server.URL, "http://", "http://user:geheim@", 1) + "/a%20b/%22'$%7Bx%7D?c=d&e#f"
	e := engine(t, raw, func(c *inject.HTTPConfig) {
		c.Method, c.Body = "PUT", sent
		c.Header = http.Header{"Host": {"example.org"}, "X-A": {"b \"'`${c}💥", "d"}, "__proto__": {"e"}, "User-Agent": {"me"}}
	})
	m, err := e.Inject(t.Context(), load(1))
	require.NoError(t, err)
	require.Zero(t, m.Failures.Total(), "%v: a cookie that the server sets does not come back", m.Failures.ByName())
	require.Equal(t, "PUT", got.Method)
	require.Equal(t, "/a%20b/%22'$%7Bx%7D?c=d&e", got.RequestURI)
	require.Equal(t, "example.org", got.Host)
	require.Equal(t, "b \"'`${c}💥, d", got.Header.Get("X-A"))
	require.Equal(t, "e", got.Header.Get("__proto__"))
	require.Equal(t, "me", got.UserAgent())
	require.Equal(t, sent, body)
	require.EqualValues(t, len(sent), got.ContentLength)
	user, password, _ := got.BasicAuth()
	require.Equal(t, "user geheim", user+" "+password)
}

func TestHEAD(t *testing.T) {
	needK6(t)
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(serviceTime)
		w.Header().Set("Content-Length", "1000")
	}))
	defer server.Close()
	m, err := engine(t, server.URL, func(c *inject.HTTPConfig) { c.Method = "HEAD" }).Inject(t.Context(), load(1))
	require.NoError(t, err)
	require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
	require.Positive(t, m.Requests)
}

func TestHTTPS(t *testing.T) {
	needK6(t)
	t.Parallel()
	var protocols sync.Map
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(serviceTime)
		protocols.Store(r.Proto, true)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshakes that fail on purpose
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	for _, tt := range []struct {
		insecure, noHTTP2 bool
		seen, failed      []string
	}{
		{failed: []string{"tls"}},
		{insecure: true, seen: []string{"HTTP/2.0"}},
		{insecure: true, noHTTP2: true, seen: []string{"HTTP/1.1"}},
	} {
		protocols.Clear()
		m, err := engine(t, server.URL, func(c *inject.HTTPConfig) { c.Insecure, c.NoHTTP2 = tt.insecure, tt.noHTTP2 }).
			Inject(t.Context(), load(1))
		require.NoError(t, err)
		var seen []string
		protocols.Range(func(k, _ any) bool { seen = append(seen, k.(string)); return true })
		require.Equal(t, tt.seen, seen)
		require.Equal(t, tt.failed, slices.Sorted(maps.Keys(m.Failures.ByName())))
	}
}

func TestFailureClasses(t *testing.T) {
	needK6(t)
	const timeout = 150 * time.Millisecond
	const okEmpty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	always := func(answer string) func(net.Conn, *bufio.Reader) {
		return func(c net.Conn, r *bufio.Reader) {
			for read(r) {
				time.Sleep(serviceTime)
				io.WriteString(c, answer)
			}
		}
	}
	once := func(answer string) func(net.Conn, *bufio.Reader) {
		return func(c net.Conn, r *bufio.Reader) { read(r); time.Sleep(serviceTime); io.WriteString(c, answer) }
	}
	for name, tt := range map[string]struct {
		class inject.Class
		serve func(net.Conn, *bufio.Reader)
	}{
		"closes without an answer": {inject.EOF, once("")},
		"closes in the head":       {inject.EOF, once("HTTP/1.1 200 OK\r\nContent-Type: te")},
		"closes in the body":       {inject.EOF, once("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")},
		"resets": {inject.Reset, func(c net.Conn, r *bufio.Reader) {
			read(r)
			time.Sleep(serviceTime)
			c.(*net.TCPConn).SetLinger(0)
		}},
		"hangs":             {inject.Timeout, func(c net.Conn, r *bufio.Reader) { read(r); io.Copy(io.Discard, r) }},
		"hangs in the body": {inject.Timeout, always("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")},
		"talks nonsense":    {inject.Malformed, once("SSH-2.0-OpenSSH\r\n")},
		"switches protocols": {inject.Malformed,
			once("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")},
		"bad chunks":            {inject.Malformed, once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n")},
		"refuses with a status": {inject.Status, always("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")},
		"redirects":             {inject.Status, always("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n")},
		"redirects to nonsense": {inject.Status,
			once("HTTP/1.1 302 Found\r\nLocation: http://[%\r\nContent-Length: 0\r\n\r\n")},
		"redirects without where": {inject.Status, always("HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n")},
		"is fine":                 {inject.OK, always(okEmpty)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := inject.Load{VUs: 2, Window: 200 * time.Millisecond, Timeout: timeout}
			m, err := engine(t, raw(t, tt.serve)).Inject(t.Context(), l)
			require.NoError(t, err)
			var want []string
			if tt.class != inject.OK {
				want = []string{tt.class.String()}
				require.Zero(t, m.Requests)
			}
			require.Equal(t, want, slices.Sorted(maps.Keys(m.Failures.ByName())))
		})
	}
}

func TestNobodyListens(t *testing.T) {
	needK6(t)
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l.Close()
	m, err := engine(t, "http://"+l.Addr().String()).Inject(t.Context(), load(1))
	require.NoError(t, err)
	require.Equal(t, []string{"dial"}, slices.Sorted(maps.Keys(m.Failures.ByName())))
	require.Less(t, m.Failures.Total(), uint64(30), "a server that is down is not hammered")
	require.Zero(t, m.Quantile(0.5))
}

// TestRefusedByK6 holds that a request that k6 does not even send is an error, not millions of
// failures.
func TestRefusedByK6(t *testing.T) {
	needK6(t)
	t.Parallel()
	e := engine(t, "http://127.0.0.1:1/")
	e.config.Header = http.Header{"X-Key": {"geheim\n"}} // which New would refuse
	_, err := e.Inject(t.Context(), load(1))
	require.ErrorContains(t, err, "k6 exited with 108")
	require.ErrorContains(t, err, "X-Key")
	require.NotContains(t, err.Error(), "geheim")
}

func TestRateOfAServer(t *testing.T) {
	needK6(t)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(serviceTime) }))
	defer server.Close()
	e := engine(t, server.URL)
	l := load(4)
	var used []time.Duration
	l.OnEdge = func() {
		d, err := e.CPU()
		if !errors.Is(err, errors.ErrUnsupported) {
			require.NoError(t, err)
		}
		used = append(used, d)
	}
	m, err := e.Inject(t.Context(), l)
	require.NoError(t, err)
	// A sleep takes longer than it should, on a busy machine much; never less.
	most := 4 / serviceTime.Seconds()
	require.Less(t, m.Throughput(), 1.01*most)
	require.Greater(t, m.Throughput(), most/2)
	require.InEpsilon(t, 4, m.Throughput()*m.Mean().Seconds(), 0.15, "Little's law")
	if used[1] > 0 {
		require.Greater(t, used[1], used[0])
		after, err := e.CPU()
		require.NoError(t, err)
		require.Greater(t, after, used[1], "those that have ended count")
	}
}

func TestRealK6IsCanceled(t *testing.T) {
	needK6(t)
	var served atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		time.Sleep(serviceTime)
		served.Add(1)
	}))
	defer server.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	l := load(2)
	l.Window = time.Minute
	edges := 0
	l.OnEdge = func() {
		if edges++; edges == 1 {
			time.AfterFunc(300*time.Millisecond, func() { cancel(why) })
		}
	}
	started := time.Now()
	e := engine(t, server.URL)
	m, err := e.Inject(ctx, l)
	require.ErrorIs(t, err, why)
	require.Less(t, time.Since(started), 5*time.Second)
	require.Equal(t, 2, edges)
	require.InDelta(t, 300*time.Millisecond, m.Window, float64(100*time.Millisecond))
	require.Positive(t, m.Requests)
	require.InDelta(t, served.Load(), m.Completed, 2, "all but those under way")
	require.Zero(t, m.Failures.Total(), "what an interrupt breaks is no failure: %v", m.Failures.ByName())
	require.InEpsilon(t, 2, m.Throughput()*m.Mean().Seconds(), 0.2, "Little's law")
}
