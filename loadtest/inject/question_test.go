package inject

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// eachProtocol runs a test against a handler, in each way in which a VU can ask.
func eachProtocol(t *testing.T, serve http.HandlerFunc,
	test func(t *testing.T, target func(change func(*HTTPConfig)) *HTTP)) {
	t.Helper()
	for name, way := range map[string]struct{ blocking, secure, http2 bool }{
		"loop": {}, "goroutines": {blocking: true}, "TLS": {secure: true}, "HTTP/2": {secure: true, http2: true},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(serve)
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.EnableHTTP2 = way.http2
			if way.secure {
				server.StartTLS()
			} else {
				server.Start()
			}
			defer server.Close()
			test(t, func(change func(*HTTPConfig)) *HTTP {
				h := target(t, server.URL, func(c *HTTPConfig) { c.Insecure = true }, change)
				h.blocking = way.blocking
				return h
			})
		})
	}
}

// uri is the URL of a request: path and query.
func uri(t *testing.T, s string) *url.URL {
	t.Helper()
	u, _, err := ParseAddress("http://localhost" + s)
	require.NoError(t, err)
	return u
}

// weighted is a target of requests with these weights, named by their places.
func weighted(t *testing.T, seed uint64, weights ...int) *HTTP {
	t.Helper()
	var all []Request
	for i, w := range weights {
		all = append(all, Request{URL: uri(t, "/"), Weight: w, Place: fmt.Sprint(i)})
	}
	return target(t, "http://localhost", func(c *HTTPConfig) { c.Requests, c.Seed = all, seed })
}

func TestDrawnByWeight(t *testing.T) {
	const draws = 100000
	for _, weights := range [][]int{{1}, {1, 1, 1}, {0, 2, 7}, {100, 1}, {1, 1 << 30}} {
		h := weighted(t, 1, weights...)
		total := 0
		for _, w := range weights {
			total += max(w, 1)
		}
		got := map[string]int{}
		for vu := range 10 {
			a := h.askerOf(vu + 1)
			for range draws / 10 {
				got[a.draw().place]++
			}
		}
		for i, w := range weights {
			want := float64(draws) * float64(max(w, 1)) / float64(total)
			// 400 is more than two standard deviations of any.
			require.InDelta(t, want, got[fmt.Sprint(i)], 0.02*want+400, weights)
		}
	}
}

// TestDrawnFromTheSeed holds that what a VU asks in a round depends on seed, number and round, and
// on nothing else.
func TestDrawnFromTheSeed(t *testing.T) {
	order := func(seed uint64, vu int, round uint64) (all string) {
		a := weighted(t, seed, slices.Repeat([]int{1, 2}, 5)...).askerOf(vu)
		a.draw()
		a.begin(round)
		for range 30 {
			all += a.draw().place
		}
		return all
	}
	first := order(7, 1, 3)
	require.Equal(t, first, order(7, 1, 3))
	seen := map[string]bool{first: true}
	for _, other := range []string{order(8, 1, 3), order(7, 2, 3), order(7, 3, 1), order(7, 1, 4), order(7, 3, 3)} {
		require.False(t, seen[other], "two streams are the same")
		seen[other] = true
	}
}

// TestNumbers holds that a request with numbers arrives as it was written, by whatever protocol.
func TestNumbers(t *testing.T) {
	type seen struct{ Method, URI, Header, Other, Body string }
	var mu sync.Mutex
	got := map[seen]int{}
	forget := func() { // the server may still be busy with what was cut off
		mu.Lock()
		defer mu.Unlock()
		clear(got)
	}
	eachProtocol(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got[seen{r.Method, r.RequestURI, r.Header.Get("X-Key"), r.Header.Get("X-All"), string(body)}]++
	}, func(t *testing.T, target func(func(*HTTPConfig)) *HTTP) {
		forget()
		h := target(func(c *HTTPConfig) {
			c.Header = http.Header{"X-All": {"{vu}"}}
			c.Requests = []Request{{
				Method: http.MethodPut, URL: uri(t, "/users/{vu}/{seq}?a={seq}&b={vu}&c={vu"), Numbered: true,
				Header: http.Header{"X-Key": {"k{vu}-{seq}"}}, Body: []byte(`{"vu": {vu}, "again": "{seq}{vu}", "seq": {}}`),
			}}
		})
		m, err := Run(t.Context(), h, Load{VUs: 12, Window: 50 * time.Millisecond, Timeout: 5 * time.Second})
		require.NoError(t, err)
		require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
		require.Greater(t, m.Completed, uint64(12))
		mu.Lock()
		defer mu.Unlock()
		require.Len(t, got, int(m.Completed), "each is another one")
		vus := map[int]bool{}
		for s := range got {
			var vu, seq int
			_, err := fmt.Sscanf(s.URI, "/users/%d/%d?", &vu, &seq)
			require.NoError(t, err, s.URI)
			require.Empty(t, cmp.Diff(seen{
				http.MethodPut, fmt.Sprintf("/users/%d/%d?a=%[2]d&b=%[1]d&c={vu", vu, seq), fmt.Sprintf("k%d-%d", vu, seq),
				fmt.Sprint(vu), fmt.Sprintf(`{"vu": %d, "again": "%d%[1]d", "seq": {}}`, vu, seq),
			}, s))
			require.LessOrEqual(t, seq, int(m.Completed))
			vus[vu] = true
		}
		require.Len(t, vus, 12)
		require.False(t, vus[0])
	})
}

// TestNumbersAreUsedOnce holds that no number comes twice, also where the server ends connections
// and requests are made again, and in the next run.
func TestNumbersAreUsedOnce(t *testing.T) {
	var mu sync.Mutex
	got := map[string]int{}
	forget := func() {
		mu.Lock()
		defer mu.Unlock()
		clear(got)
	}
	eachProtocol(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got[r.URL.RawQuery]++
		if len(got)%3 == 0 {
			w.Header().Set("Connection", "close")
		}
	}, func(t *testing.T, target func(func(*HTTPConfig)) *HTTP) {
		forget()
		var shared atomic.Uint64
		requests := []Request{{URL: uri(t, "/?{seq}"), Numbered: true}, {URL: uri(t, "/?x{seq}"), Numbered: true}}
		total := 0
		for range 2 {
			h := target(func(c *HTTPConfig) { c.Requests, c.Sequence = requests, &shared })
			m, err := Run(t.Context(), h, Load{VUs: 4, Window: 30 * time.Millisecond, Timeout: 5 * time.Second})
			require.NoError(t, err)
			total += int(m.Completed) + int(m.Failures.Total())
		}
		mu.Lock()
		defer mu.Unlock()
		numbers := map[string]bool{}
		for query, times := range got {
			require.Equal(t, 1, times, query)
			numbers[strings.TrimPrefix(query, "x")] = true
		}
		require.Len(t, numbers, len(got))
		require.LessOrEqual(t, len(got), total)
		require.Positive(t, len(got))
	})
}

// TestMethodsMix holds that answers to HEAD among others are understood.
func TestMethodsMix(t *testing.T) {
	eachProtocol(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") },
		func(t *testing.T, target func(func(*HTTPConfig)) *HTTP) {
			h := target(func(c *HTTPConfig) {
				c.Requests = []Request{{URL: uri(t, "/"), Method: http.MethodHead}, {URL: uri(t, "/")}}
			})
			m, err := Run(t.Context(), h, load(2))
			require.NoError(t, err)
			require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
			require.Positive(t, m.Bodies)
			require.Less(t, m.Bodies, 5*int64(m.Completed))
		})
}

// TestSessionsDrawAlike holds that two sessions with one seed ask the same in each slice, by what
// their VUs ask first, however many slices the warm-up of either had.
func TestSessionsDrawAlike(t *testing.T) {
	eachWay(t, func(t *testing.T, drive func(*HTTP) *HTTP) {
		var orders [2][]string
		for i := range orders {
			var mu sync.Mutex
			var asked []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, r.URL.Path)
			}))
			defer server.Close()
			var all []Request
			for n := range 50 {
				all = append(all, Request{URL: uri(t, fmt.Sprintf("/%d", n))})
			}
			h := drive(target(t, server.URL, func(c *HTTPConfig) { c.Requests, c.Seed = all, 5 }))
			s, err := Open(t.Context(), h, 1, 5*time.Second)
			require.NoError(t, err)
			for range 3 + i {
				_, err = s.Slice(time.Millisecond)
				require.NoError(t, err)
			}
			s.Take()
			for range 6 {
				mu.Lock()
				asked = nil
				mu.Unlock()
				_, err = s.Slice(time.Millisecond)
				require.NoError(t, err)
				mu.Lock()
				orders[i] = append(orders[i], strings.Join(asked[:2], " ")) // two at least
				mu.Unlock()
			}
			s.Close()
		}
		require.Equal(t, orders[0], orders[1])
		require.Greater(t, len(slices.Compact(slices.Sorted(slices.Values(orders[0])))), 3, "slices differ")
	})
}

// TestQuestionsAllocateNothing holds that what changes from one request to the next is made without
// allocating.
func TestQuestionsAllocateNothing(t *testing.T) {
	var many []Request
	for i := range 1000 {
		many = append(many, Request{URL: uri(t, fmt.Sprintf("/%d?vu={vu}", i)), Weight: i, Method: http.MethodPost,
			Body: []byte("a={seq}"), Numbered: i%2 == 0})
	}
	for _, cookies := range []bool{false, true} {
		h := target(t, "http://localhost", func(c *HTTPConfig) { c.Requests, c.Cookies = many, cookies })
		a := h.askerOf(1)
		if cookies {
			a.jar.set("a=b")
		}
		sum := 0
		ask := func() {
			a.draw()
			sum += len(a.bytes())
		}
		for range 10000 { // the buffer grows
			ask()
		}
		require.Zero(t, testing.AllocsPerRun(1000, ask))
		require.Positive(t, sum)
	}
}

func TestRequestsThatCannotBe(t *testing.T) {
	u, err := url.Parse("http://localhost")
	require.NoError(t, err)
	for want, c := range map[string]HTTPConfig{
		"a.txt:3: header Content-Length cannot be set": {Requests: []Request{
			{URL: uri(t, "/"), Place: "a.txt:3", Header: http.Header{"Content-Length": {"topsecret"}}},
		}},
		"b.txt:4: method CONNECT is not supported": {First: []Request{
			{URL: uri(t, "/"), Place: "b.txt:4", Method: http.MethodConnect},
		}},
		"a.txt:1: request of 1048": {Requests: []Request{
			{URL: uri(t, "/"), Place: "a.txt:1", Body: make([]byte, mostOwn), Numbered: true},
		}},
		"request of 1048":          {Body: make([]byte, mostOwn), Cookies: true},
		"a.txt:2: weight -1: want": {Requests: []Request{{URL: uri(t, "/"), Place: "a.txt:2", Weight: -1}}},
	} {
		c.URL = u
		_, err := NewHTTP(c)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "topsecret")
	}
}

func TestTargetOfSeveralRequests(t *testing.T) {
	h := target(t, "http://me:secret@localhost:80", func(c *HTTPConfig) {
		c.Requests, c.Source = []Request{{URL: uri(t, "/a")}, {URL: uri(t, "/b")}}, "targets.txt"
	})
	require.Equal(t, "2 requests of targets.txt to localhost:80", h.String())
}

// BenchmarkAsk shows what it costs to choose and to make the next request.
func BenchmarkAsk(b *testing.B) {
	u, err := url.Parse("http://localhost:8080/search?q=go")
	require.NoError(b, err)
	requests := func(n int, numbered bool) (all []Request) {
		for i := range n {
			at := *u
			at.RawQuery = fmt.Sprintf("q=%d&vu={vu}", i)
			all = append(all, Request{URL: &at, Weight: 1 + i%7, Numbered: numbered})
		}
		return all
	}
	for name, c := range map[string]HTTPConfig{
		"requests=1":                {},
		"requests=1000":             {Requests: requests(1000, false)},
		"requests=1000/numbered=on": {Requests: requests(1000, true)},
		"cookies=on":                {Cookies: true},
		"requests=1000/cookies=on":  {Requests: requests(1000, false), Cookies: true},
	} {
		b.Run(name, func(b *testing.B) {
			c.URL = u
			h, err := NewHTTP(c)
			require.NoError(b, err)
			a := h.askerOf(1)
			if a.jar != nil {
				a.jar.set("session=0123456789abcdef")
			}
			for b.Loop() {
				a.draw()
				a.bytes()
			}
		})
	}
}

// BenchmarkLoop shows what a request costs with the whole loop, and a null server beside it.
func BenchmarkLoop(b *testing.B) {
	server, err := startNullServer(1)
	if err != nil {
		b.Skip(err)
	}
	defer server.stop()
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprintf("requests=%d", n), func(b *testing.B) {
			c := HTTPConfig{URL: &url.URL{Scheme: "http", Host: server.address, Path: "/search", RawQuery: "q=go"}}
			for i := range n {
				if n > 1 {
					c.Requests = append(c.Requests, Request{URL: &url.URL{Path: "/search", RawQuery: fmt.Sprintf("q=%d", i)}})
				}
			}
			h, err := NewHTTP(c)
			require.NoError(b, err)
			var done uint64
			var spent time.Duration
			for b.Loop() {
				m, err := Run(b.Context(), h, Load{VUs: 8, Window: 100 * time.Millisecond, Timeout: time.Second})
				require.NoError(b, err)
				done, spent = done+m.Requests, spent+m.Window
			}
			runtime.KeepAlive(h)
			b.ReportMetric(float64(spent)/float64(done), "ns/request")
			b.ReportMetric(0, "ns/op")
		})
	}
}
