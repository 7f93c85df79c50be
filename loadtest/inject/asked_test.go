package inject

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// askedOf is a target of several requests of a server, over an event loop or over TLS.
func askedOf(t *testing.T, secure bool, handler http.HandlerFunc, requests ...Request) *HTTP {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	if secure {
		server.EnableHTTP2 = true
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	h, err := NewHTTP(HTTPConfig{URL: u, Requests: requests, Seed: 3, Insecure: true})
	require.NoError(t, err)
	return h
}

func get(path string, weight int) Request {
	u, err := url.Parse(path)
	if err != nil {
		panic(err)
	}
	return Request{URL: u, Weight: weight}
}

// TestEachRequestIsCounted holds that what was measured of single requests adds up to what was
// measured of all, in a run and in a session, on each way to a server.
func TestEachRequestIsCounted(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, sliced := range []bool{false, true} {
			t.Run(fmt.Sprintf("secure=%v/sliced=%v", secure, sliced), func(t *testing.T) {
				h := askedOf(t, secure, func(w http.ResponseWriter, r *http.Request) {
					switch r.URL.Path {
					case "/slow":
						time.Sleep(3 * time.Millisecond)
					case "/broken":
						w.WriteHeader(http.StatusTeapot)
					case "/cut":
						panic(http.ErrAbortHandler)
					}
				}, get("/fast", 4), get("/slow", 2), get("/broken?x=1", 1), get("/cut", 1))
				var m Measurement
				var err error
				if sliced {
					s, err := Open(t.Context(), h, 3, time.Second)
					require.NoError(t, err)
					defer s.Close()
					for range 3 {
						_, err = s.Slice(60 * time.Millisecond)
						require.NoError(t, err)
					}
					m = s.Take()
					require.NotEmpty(t, m.Asked)
					_, err = s.Slice(10 * time.Millisecond)
					require.NoError(t, err)
					require.Less(t, s.Take().Asked[0].Completed, m.Asked[0].Completed, "it begins anew")
				} else if m, err = Run(t.Context(), h, Load{VUs: 3, Warmup: 20 * time.Millisecond, Window: 150 * time.Millisecond,
					Timeout: time.Second}); err != nil {
					require.NoError(t, err)
				}
				require.Len(t, m.Asked, 4)
				var sum Asked
				var names []string
				for _, a := range m.Asked {
					names = append(names, a.Name)
					sum.add(a)
					require.Zero(t, a.Others)
				}
				require.Equal(t, []string{"GET /fast", "GET /slow", "GET /broken?x=1", "GET /cut"}, names)
				require.Equal(t, m.Requests, sum.Requests)
				require.Equal(t, m.Completed, sum.Completed)
				require.Equal(t, m.Failures, sum.Failures)
				require.EqualValues(t, sum.Requests, sum.Latency.TotalCount())
				require.InDelta(t, m.LatencySum, sum.LatencySum, float64(time.Duration(m.Requests)*time.Microsecond))
				fast, slow, broken, cut := m.Asked[0], m.Asked[1], m.Asked[2], m.Asked[3]
				require.Positive(t, fast.Requests)
				require.Zero(t, fast.Failures.Total()+slow.Failures.Total())
				require.Greater(t, slow.Quantile(0.5), 2900*time.Microsecond)
				require.Greater(t, slow.Mean(), 2900*time.Microsecond)
				require.Less(t, fast.Quantile(0.5), slow.Quantile(0.5))
				require.Zero(t, broken.Completed+cut.Completed)
				require.Equal(t, broken.Failures.Total(), broken.Failures[Status])
				require.Positive(t, broken.Failures[Status])
				require.Zero(t, cut.Failures[Status])
				require.Positive(t, cut.Failures.Total())

				median := slow.Quantile(0.5)
				m.Condense()
				require.Nil(t, m.Asked[1].Latency)
				require.Equal(t, median, m.Asked[1].Quantile(0.5))
				require.Zero(t, m.Asked[1].Quantile(0.9), "it is not known any more")
			})
		}
	}
}

// TestOneRequestHasNoRow holds that a target of one request, in whatever form, costs nothing more.
func TestOneRequestHasNoRow(t *testing.T) {
	for _, requests := range [][]Request{nil, {get("/", 0)}} {
		h := askedOf(t, false, func(http.ResponseWriter, *http.Request) {}, requests...)
		m, err := Run(t.Context(), h, Load{VUs: 1, Window: 10 * time.Millisecond, Timeout: time.Second})
		require.NoError(t, err)
		require.Nil(t, m.Asked)
		require.Nil(t, newTally(newTotal(time.Second, rowsOf(h))).asking)
	}
}

// TestManyRequestsHaveBoundedRows holds that of a thousand requests the heaviest have rows, and all
// others one together.
func TestManyRequestsHaveBoundedRows(t *testing.T) {
	var all []Request
	for i := range 1000 {
		weight := 1
		if i%25 == 7 && i < 750 { // 30 of them
			weight = 3
		}
		all = append(all, get(fmt.Sprintf("/%d", i), weight))
	}
	h := askedOf(t, false, func(http.ResponseWriter, *http.Request) {}, all...)
	require.Len(t, h.rows, MostAsked+1)
	require.Equal(t, Asked{Name: "950 other requests", Others: 950}, h.rows[MostAsked])
	heavy := 0
	for i, a := range h.rows[:MostAsked] {
		var n int
		_, err := fmt.Sscanf(a.Name, "GET /%d", &n)
		require.NoError(t, err)
		require.EqualValues(t, i, h.questions[n].row)
		if n%25 == 7 {
			heavy++
		} else {
			require.Less(t, n, 25, "of equals the first")
		}
	}
	require.Equal(t, 30, heavy)
	m, err := Run(t.Context(), h, Load{VUs: 2, Window: 100 * time.Millisecond, Timeout: time.Second})
	require.NoError(t, err)
	require.Len(t, m.Asked, MostAsked+1)
	require.InDelta(t, 1, float64(m.Asked[MostAsked].Completed)/float64(m.Completed)/(950.0/1060), 0.5)

	one := askedOf(t, false, func(http.ResponseWriter, *http.Request) {}, all[:MostAsked+1]...)
	require.Equal(t, "1 other request", one.rows[MostAsked].Name)
	require.Len(t, askedOf(t, false, func(http.ResponseWriter, *http.Request) {}, all[:MostAsked]...).rows, MostAsked)
}

func TestNamesOfRequests(t *testing.T) {
	long := get("/"+strings.Repeat("x", 200), 0)
	named, twice := get("/a", 0), get("/a", 0)
	named.Name, named.Place = "GET /a?seq={seq}", "some/folder/targets.txt:1"
	twice.Place = "some/folder/targets.txt:7"
	post := get("/a", 0)
	post.Method = "POST"
	secret := get("/b?q=go&api_key=abc&Token=d%20e&keyword=x&author=y&sig=z&n={seq}", 0)
	require.Equal(t, []string{
		"GET /a?seq={seq}", "GET /a (targets.txt:7)", "POST /a", "GET /a (number 4)",
		"GET /" + strings.Repeat("x", longestName-5) + "…",
		"GET /b?q=go&api_key=xxxxx&Token=xxxxx&keyword=x&author=y&sig=xxxxx&n={seq}",
	}, namesOf([]Request{named, twice, post, get("/a", 0), long, secret}))
}

// TestAskedOfSeveralTargets holds that what is added is found by its name.
func TestAskedOfSeveralTargets(t *testing.T) {
	of := func(name string, n uint64, highest int64) Asked {
		a := Asked{Name: name, Requests: n, Completed: n, LatencySum: time.Duration(n) * time.Millisecond}
		a.Latency = newAskedHistogram(highest)
		require.NoError(t, a.Latency.RecordValues(highest, int64(n)))
		return a
	}
	x := []Asked{of("a", 1, 1000), of("b", 2, 1000)}
	sum := AddAsked(nil, x)
	sum = AddAsked(sum, []Asked{of("b", 10, 100_000), of("c", 5, 1000)})
	require.Len(t, sum, 3)
	for i, want := range []struct {
		name string
		n    uint64
	}{{"a", 1}, {"b", 12}, {"c", 5}} {
		require.Equal(t, want.name, sum[i].Name)
		require.Equal(t, want.n, sum[i].Requests)
		require.EqualValues(t, want.n, sum[i].Latency.TotalCount())
		require.Equal(t, time.Millisecond, sum[i].Mean())
	}
	require.EqualValues(t, 1, x[0].Latency.TotalCount(), "it is left as it was")
	require.Zero(t, Asked{}.Mean())
}
