package inject

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"rampart/loadtest/internal/race"
)

func TestParseExpect(t *testing.T) {
	for text, want := range map[string]map[int]bool{
		"":                           {199: false, 200: true, 299: true, 300: false, 404: false},
		"status=204":                 {200: false, 204: true, 205: false},
		"status=2xx, 3xx":            {200: true, 304: true, 399: true, 400: false},
		"status=404,5xx\nbody~^x":    {200: false, 404: true, 500: true, 599: true},
		"\n body~a,b \n status=301 ": {200: false, 301: true},
		"body~status=5xx":            {200: true, 500: false},
	} {
		e, err := ParseExpect(text)
		require.NoError(t, err, text)
		set, _ := e.set()
		for status, expected := range want {
			require.Equal(t, expected, set.has(status), "%q: %d", text, status)
		}
		again, err := ParseExpect(e.String())
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(e, again))
	}
	for text, want := range map[string]string{
		"status=foo":             `"status=foo": "foo" is no status; want such as status=2xx,304, from 200 to 599`,
		"status=":                `"status=": "" is no status`,
		"status=200,":            `"" is no status`,
		"status=1xx":             `"1xx" is no status`, // it comes before the answer
		"status=100":             `"100" is no status`,
		"status=600":             `"600" is no status`,
		"status=20":              `"20" is no status`,
		"status=+20":             `"+20" is no status`,
		"status=2xxx":            `"2xxx" is no status`,
		"status=200-299":         `"200-299" is no status`,
		"status=200\nstatus=301": `"status=301": statuses for a second time; want all in one`,
		"body~(":                 `"body~(": error parsing regexp: missing closing ): ` + "`(`" + `; want body~REGEXP`,
		"body~":                  `"body~": want status=2xx,304 or body~REGEXP`,
		"header~x":               `"header~x": want status=2xx,304 or body~REGEXP`,
		"2xx":                    `"2xx": want status=2xx,304 or body~REGEXP`,
	} {
		_, err := ParseExpect(text)
		require.ErrorContains(t, err, want, text)
		require.NotContains(t, err.Error(), "\n")
	}
	e, err := ParseExpect("body~x")
	require.NoError(t, err)
	u := target(t, "http://localhost/").config.URL
	_, err = NewHTTP(HTTPConfig{URL: u, Method: http.MethodHead, Expect: e})
	require.ErrorContains(t, err, "HEAD, whose answer has none")
}

// FuzzParseExpect holds that what is taken is taken again, in the same words.
func FuzzParseExpect(f *testing.F) {
	for _, s := range []string{"", "status=2xx,304", "body~a\nbody~[b]", "status= 200 , 2xx\n\nbody~ x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := ParseExpect(s)
		if err != nil {
			return
		}
		again, err := ParseExpect(e.String())
		require.NoError(t, err)
		require.True(t, e.Equal(again), "%q and %q", e.String(), again.String())
		require.Equal(t, strings.TrimSpace(s) == "", e.IsZero())
	})
}

// everyWay runs a test over HTTP/1.1 by an event loop and by goroutines, over TLS, and over HTTP/2.
func everyWay(t *testing.T, handler http.Handler, test func(t *testing.T, build func(...func(*HTTPConfig)) *HTTP)) {
	t.Helper()
	plain, secure := httptest.NewServer(handler), httptest.NewUnstartedServer(handler)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	for name, way := range map[string]struct {
		url               string
		blocking, noHTTP2 bool
	}{"loop": {url: plain.URL}, "goroutines": {plain.URL, true, true}, "tls": {secure.URL, false, true},
		"http2": {url: secure.URL}} {
		t.Run(name, func(t *testing.T) {
			test(t, func(change ...func(*HTTPConfig)) *HTTP {
				h := target(t, way.url, append(change, func(c *HTTPConfig) { c.Insecure, c.NoHTTP2 = true, way.noHTTP2 })...)
				h.blocking = way.blocking
				return h
			})
		})
	}
}

func expecting(t *testing.T, text string) func(*HTTPConfig) {
	e, err := ParseExpect(text)
	require.NoError(t, err)
	return func(c *HTTPConfig) { c.Expect = e }
}

// ask makes some requests at least, however busy the machine is.
func ask(t *testing.T, h *HTTP, atLeast uint64) Measurement {
	t.Helper()
	s, err := Open(t.Context(), h, 4, 5*time.Second)
	require.NoError(t, err)
	defer s.Close()
	for made := uint64(0); made < atLeast; {
		slice, err := s.Slice(time.Millisecond)
		require.NoError(t, err)
		made += slice.Requests + slice.Failures
	}
	return s.Take()
}

// TestExpect has a server whose every seventh answer is another one.
func TestExpect(t *testing.T) {
	var served atomic.Uint64
	var other atomic.Pointer[http.HandlerFunc]
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if served.Add(1)%7 == 0 {
			(*other.Load())(w, r)
			return
		}
		fmt.Fprint(w, strings.Repeat("long ", 2000)+"order 42 is ready")
	})
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if status/100 == 3 {
				w.Header().Set("Location", "/elsewhere")
			}
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	everyWay(t, handler, func(t *testing.T, build func(...func(*HTTPConfig)) *HTTP) {
		for _, tt := range []struct {
			name   string
			other  http.HandlerFunc
			expect string
			want   Class
		}{
			{"a redirect", answer(302, ""), "", Status},
			{"an expected redirect", answer(302, ""), "status=2xx,3xx", OK},
			{"not modified", answer(304, ""), "status=2xx,304", OK},
			{"no content", answer(204, ""), "", OK},
			{"no content, and a body is expected", answer(204, ""), "body~ready", Body},
			{"an expected error", answer(404, "no such order"), "status=200,404", OK},
			{"an error that is a success", answer(200, "Sorry."), "", OK},
			{"a page of errors", answer(200, "Sorry."), "body~order [0-9]+ is ready$", Body},
			{"nothing", answer(200, ""), "body~order [0-9]+ is ready$", Body},
			{"cut short", answer(200, strings.Repeat("long ", 2000)+"order 42 is"), "body~order [0-9]+ is ready$", Body},
			{"one of two", answer(200, "order 42"), "body~order\nbody~ready", Body},
			{"both", answer(200, "ready: order 42"), "body~order\nbody~ready", OK},
			{"the status counts first", answer(500, "Sorry."), "body~order", Status},
		} {
			t.Run(tt.name, func(t *testing.T) {
				other.Store(&tt.other)
				served.Store(0)
				m := ask(t, build(expecting(t, tt.expect)), 30)
				n := served.Load()
				want := Failures{}
				if tt.want != OK {
					want[tt.want] = n / 7
				}
				require.Positive(t, n/7)
				require.Equal(t, want, m.Failures)
				require.Equal(t, n, m.Completed+m.Failures.Total())
				sum := uint64(0)
				for _, n := range m.Answers.Statuses() {
					sum += n
				}
				require.Equal(t, n, sum, "each complete answer has a status")
			})
		}
	})
}

// TestExpectsTheBeginning holds the bound of what is held against an expression.
func TestExpectsTheBeginning(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.RawQuery)
		io.WriteString(w, strings.Repeat("x", n)+"end")
	})
	everyWay(t, handler, func(t *testing.T, build func(...func(*HTTPConfig)) *HTTP) {
		for n, want := range map[int]Class{MatchedSize - 3: OK, MatchedSize - 2: Body, 2 * MatchedSize: Body} {
			h := build(expecting(t, "body~end"), func(c *HTTPConfig) { c.URL.RawQuery = strconv.Itoa(n) })
			m := ask(t, h, 1)
			require.Equal(t, want == OK, m.Failures.Total() == 0, n)
			require.Equal(t, want == OK, h.Probe(t.Context(), 5*time.Second) == nil, n)
		}
	})
}

func TestProbeExpects(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusFound)
		io.WriteString(w, "Sorry.\nmore")
	})
	everyWay(t, handler, func(t *testing.T, build func(...func(*HTTPConfig)) *HTTP) {
		for expect, want := range map[string]string{
			"":                           `status: the server answered 302, not 2xx: "Sorry."`,
			"status=2xx,404":             `status: the server answered 302, not 2xx,404: "Sorry."`,
			"status=3xx\nbody~order":     `body: the server answered 302, and a body that does not match body~order: "Sorry."`,
			"status=302\nbody~^S.*\\.\n": "",
		} {
			err := build(expecting(t, expect)).Probe(t.Context(), 5*time.Second)
			if want == "" {
				require.NoError(t, err)
				continue
			}
			require.EqualError(t, err, want)
		}
	})
}

// TestAnswersAreCounted holds what is counted of answers, each fifth of which is another one.
func TestAnswersAreCounted(t *testing.T) {
	var served atomic.Uint64
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := served.Add(1)
		switch {
		case n%5 != 0:
			w.Header().Set("Content-Type", "Text/HTML; charset=utf-8; n="+strconv.FormatUint(n, 10))
			io.WriteString(w, "<p>my x/topsecret</p>")
		case n%10 == 0:
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", "br")
			io.WriteString(w, "<p>x</p>")
		default:
			http.Error(w, "Sorry.", http.StatusServiceUnavailable)
		}
	})
	secret := func(c *HTTPConfig) { c.Header = http.Header{"X": {"x/topsecret"}} }
	everyWay(t, handler, func(t *testing.T, build func(...func(*HTTPConfig)) *HTTP) {
		for _, compare := range []Compare{CompareNothing, CompareKinds, CompareBodies} {
			served.Store(0)
			m := ask(t, build(secret, func(c *HTTPConfig) { c.Compare = compare }), 30)
			n := served.Load()
			usual, packed, failed := n-n/5, n/10, n/5-n/10
			require.Positive(t, failed)
			require.Empty(t, cmp.Diff(map[string]uint64{"200": usual + packed, "503": failed}, m.Answers.Statuses()))
			if compare == CompareNothing {
				require.Zero(t, m.Answers.Lengths.Total()+m.Answers.Bodies.Total())
				continue
			}
			require.Empty(t, cmp.Diff([]Seen{
				{"200 text/html", usual, `"<p>my ***</p>"`}, {"200 text/html br", packed, `"<p>x</p>"`},
				{"503 text/plain", failed, `"Sorry.\n"`},
			}, m.Answers.Kinds.Seen))
			require.Empty(t, cmp.Diff([]Seen{{"21", usual, `"<p>my ***</p>"`}, {"8", packed, `"<p>x</p>"`}},
				m.Answers.Lengths.Seen))
			if compare == CompareKinds {
				require.Zero(t, m.Answers.Bodies.Total())
				continue
			}
			require.Len(t, m.Answers.Bodies.Seen, 2)
			require.EqualValues(t, m.Completed, m.Answers.Bodies.Total())
		}
	})
}

// TestAnswersToHeadAreCounted: they have no body, and say how long it would be.
func TestAnswersToHeadAreCounted(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "1234") })
	everyWay(t, handler, func(t *testing.T, build func(...func(*HTTPConfig)) *HTTP) {
		m := ask(t, build(func(c *HTTPConfig) { c.Method, c.Compare = http.MethodHead, CompareKinds }), 4)
		require.Zero(t, m.Bodies)
		require.Empty(t, cmp.Diff([]Seen{{"1234", m.Completed, `""`}}, m.Answers.Lengths.Seen))
	})
}

// TestHashOfABody holds that a hash is that of all bytes of a body, however they come.
func TestHashOfABody(t *testing.T) {
	var pieces atomic.Int64
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := strings.Repeat("An answer. ", 10000)
		for n := int(pieces.Add(1)%3)*5000 + 1; n < len(body); {
			io.WriteString(w, body[:n])
			w.(http.Flusher).Flush()
			body = body[n:]
			break
		}
		io.WriteString(w, body)
	})
	everyWay(t, handler, func(t *testing.T, build func(...func(*HTTPConfig)) *HTTP) {
		m := ask(t, build(func(c *HTTPConfig) { c.Compare = CompareBodies }), 12)
		require.Len(t, m.Answers.Bodies.Seen, 1)
		require.EqualValues(t, m.Completed, m.Answers.Bodies.Seen[0].Answers)
	})
}

// TestSessionCountsAnewAfterTake holds that what was counted belongs to one Take.
func TestSessionCountsAnewAfterTake(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	defer server.Close()
	s, err := Open(t.Context(), target(t, server.URL), 2, 5*time.Second)
	require.NoError(t, err)
	defer s.Close()
	for range 2 {
		_, err := s.Slice(time.Millisecond)
		require.NoError(t, err)
		m := s.Take()
		require.Equal(t, map[string]uint64{"200": m.Completed}, m.Answers.Statuses())
	}
}

// TestCensusIsBounded holds that a server with an answer of its own for each request costs no
// memory without end.
func TestCensusIsBounded(t *testing.T) {
	var c, d census
	saw := newSight(HTTPConfig{Compare: CompareBodies})
	const n = 5000
	for i := range n {
		saw.begin()
		saw.field(fmt.Appendf(nil, "Content-Type: x/%d", i))
		saw.take(fmt.Appendf(nil, "%d", i))
		c.add(200, int64(i), saw, true)
	}
	d.merge(&c)
	d.merge(&c)
	a := d.answers(nil)
	for census, most := range map[*Census]int{&a.Kinds: mostSeen + 1, &a.Lengths: mostLengths, &a.Bodies: mostBodies} {
		require.Len(t, census.Seen, most)
		require.EqualValues(t, 2*n, census.Total())
		shown := 0
		for _, s := range census.Seen {
			if s.Example != "" {
				shown++
			}
		}
		require.Equal(t, examples, shown)
	}
	require.Equal(t, map[string]uint64{"200": 2 * n}, a.Statuses())
	sum := a
	sum.Add(a)
	require.EqualValues(t, 4*n, sum.Bodies.Total())
	require.EqualValues(t, 2*n, a.Bodies.Total(), "what was added to is another one")
	back, err := AnswersByStatus(a.Statuses())
	require.NoError(t, err)
	require.Equal(t, a.Statuses(), back.Statuses())
	for _, bad := range []string{"20", "abc", "2000", "099", ""} {
		_, err := AnswersByStatus(map[string]uint64{bad: 1})
		require.ErrorContains(t, err, "want three digits")
	}
}

// TestSightIsOfOneAnswer holds that nothing of an answer, or of an interim one, gets into the next.
func TestSightIsOfOneAnswer(t *testing.T) {
	e, err := ParseExpect("body~x")
	require.NoError(t, err)
	a := answer{saw: newSight(HTTPConfig{Compare: CompareBodies, Expect: e})}
	hashes := map[uint64]bool{}
	for _, tt := range []struct{ bytes, kind, text string }{
		{"HTTP/1.1 103 Early Hints\r\nContent-Type: a/b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "200", "x"},
		{"HTTP/1.1 200 OK\r\nContent-Type: a/c\r\nContent-Type: a/d\r\nContent-Length: 2\r\n\r\nxx", "200 a/c", "xx"},
		{"HTTP/1.1 200 OK\r\nX-Content-Type: a/d\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"2\r\nyy\r\n0\r\nContent-Type: a/e\r\n\r\n", "200", "yy"},
		{"HTTP/1.1 204 No Content\r\n\r\n", "204", ""},
	} {
		for cut := range len(tt.bytes) {
			a.begin()
			_, err := a.feed([]byte(tt.bytes[:cut]))
			require.NoError(t, err)
			_, err = a.feed([]byte(tt.bytes[cut:]))
			require.NoError(t, err)
			require.True(t, a.complete())
			require.Equal(t, tt.kind, kindOf(strconv.Itoa(a.status()), a.saw.kind, a.saw.encoding))
			require.Equal(t, tt.text, string(a.saw.text))
			require.Equal(t, tt.text, string(a.saw.excerpt))
			hashes[a.saw.hash.Sum64()] = true
		}
	}
	require.Len(t, hashes, 4)
}

// TestComparingAllocatesNothing holds that neither what is compared nor what is expected costs
// memory with each answer.
func TestComparingAllocatesNothing(t *testing.T) {
	server := raw(t, func(c net.Conn, r *bufio.Reader) {
		buf := make([]byte, 4096)
		answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\r\nhello")
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	})
	h := target(t, server, expecting(t, "body~^hello$"), func(c *HTTPConfig) { c.Compare = CompareBodies })
	mallocs := func(window time.Duration) (requests, n uint64) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m, err := Run(t.Context(), h, Load{VUs: 4, Window: window, Timeout: 5 * time.Second})
		runtime.ReadMemStats(&after)
		require.NoError(t, err)
		require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
		return m.Completed, after.Mallocs - before.Mallocs
	}
	mallocs(10 * time.Millisecond) // what is made only once
	few, first := mallocs(20 * time.Millisecond)
	many, second := mallocs(200 * time.Millisecond)
	require.Greater(t, many, few+100)
	if race.Slowness > 1 {
		return // the detector empties pools by chance, so what is in them is made again
	}
	require.Less(t, second, first+(many-few)/100+10)
}

// TestStatusesOfFailuresAreCounted holds that each failing status has its own count.
func TestStatusesOfFailuresAreCounted(t *testing.T) {
	var served atomic.Uint64
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader([]int{200, 404, 503}[served.Add(1)%3])
	})
	everyWay(t, handler, func(t *testing.T, build func(...func(*HTTPConfig)) *HTTP) {
		m := ask(t, build(), 12)
		got := maps.Clone(m.Answers.Statuses())
		require.Equal(t, m.Completed, got["200"])
		require.Equal(t, m.Failures[Status], got["404"]+got["503"])
		require.Positive(t, got["404"])
	})
}
