package app

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

// late is when what should have come will come no more, also on a machine that does much else.
const late = 30 * time.Second

// start serves the application as the program does.
func start(t *testing.T, o Options) string {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.Config = Server(New(o), slog.New(slog.DiscardHandler))
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

func get(t *testing.T, method, url string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req) // as it is: a client would follow a redirect
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

func TestWorkloadAnswer(t *testing.T) {
	url := start(t, Options{})
	resp, body := get(t, "GET", url+"/?it1=60000&it2=1")
	require.Equal(t, 200, resp.StatusCode)
	require.Regexp(t, `^Server: 127\.0\.0\.1\. Time: \d\d:\d\d:\d\d\. Computation took [0-9.e-]+ s\n$`, body)
	require.Regexp(t, `^work;dur=\d+\.\d+$`, resp.Header.Get("Server-Timing"))
	_, hash := naive(60000, 1)
	require.Equal(t, fmt.Sprintf("%016x", hash), resp.Header.Get("X-Checksum"))

	resp, body = get(t, "HEAD", url+"/?it1=1&it2=1")
	require.Equal(t, 200, resp.StatusCode)
	require.Empty(t, body)
}

func TestOtherAnswers(t *testing.T) {
	url := start(t, Options{})
	for _, tt := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/", 400, "it1 is missing"},
		{"GET", "/?it1=x&it2=1", 400, `it1="x": want a whole number from 0 to 100000000000`},
		{"GET", "/healthz", 200, "ok\n"},
		{"GET", "/nothing", 404, "404 page not found\n"},
		{"POST", "/?it1=1&it2=1", 405, "Method Not Allowed\n"},
		{"POST", "/healthz", 405, "Method Not Allowed\n"},
		{"GET", "/admin/status", 404, "404 page not found\n"},
		{"GET", "/admin", 404, "404 page not found\n"},
		{"GET", "/admin/pprof/", 404, "404 page not found\n"},
	} {
		resp, body := get(t, tt.method, url+tt.path)
		require.Equal(t, tt.status, resp.StatusCode, tt)
		require.Contains(t, body, tt.body)
		require.Equal(t, 1, strings.Count(body, "\n"), "one line")
		require.Equal(t, tt.status == 405, resp.Header.Get("Allow") != "")
	}
}

func TestAdmin(t *testing.T) {
	const secret = "s3cr3t of a man"
	url := start(t, Options{Secret: secret})
	for _, path := range []string{"/admin/status", "/admin/pprof/", "/admin/nothing"} {
		for _, authorization := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "Basic " + secret, secret,
			"Bearer " + secret + " "} {
			resp, body := get(t, "GET", url+path, "Authorization", authorization)
			if authorization == "Bearer "+secret+" " { // net/http trims what ends a header
				require.NotEqual(t, 401, resp.StatusCode)
				continue
			}
			require.Equal(t, 401, resp.StatusCode, authorization)
			require.Equal(t, "Bearer", resp.Header.Get("WWW-Authenticate"))
			require.NotContains(t, body, secret)
		}
	}
	token := []string{"Authorization", "bearer " + secret}
	resp, body := get(t, "GET", url+"/admin/status", token...)
	require.Equal(t, 200, resp.StatusCode)
	var status struct{ PID int }
	require.NoError(t, json.Unmarshal([]byte(body), &status))
	require.Positive(t, status.PID)

	for path, want := range map[string]string{
		"/admin/pprof/": "goroutine", "/admin/pprof/goroutine?debug=1": "goroutine profile",
		"/admin/pprof/cmdline":      "app.test",
		"/admin/pprof/heap?debug=1": "heap profile", "/admin/pprof/profile?seconds=1": "",
		"/admin/pprof/symbol": "num_symbols",
	} {
		resp, body := get(t, "GET", url+path, token...)
		require.Equal(t, 200, resp.StatusCode, path)
		require.Contains(t, body, want)
		require.NotContains(t, body, secret)
	}
}

// scrape reads /metrics: the value of each counter and gauge, and the count of each histogram, by
// name and code.
func scrape(t *testing.T, url string) map[string]float64 {
	t.Helper()
	resp, body := get(t, "GET", url+"/metrics")
	require.Equal(t, 200, resp.StatusCode)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	require.NoError(t, err)
	values := make(map[string]float64)
	for name, family := range families {
		for _, m := range family.GetMetric() {
			key := name
			for _, l := range m.GetLabel() {
				key += " " + l.GetValue()
			}
			values[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}

func TestMetricsOverAllProcesses(t *testing.T) {
	// Three processes, of which the third is dead.
	counters, gauges := make([][]atomic.Uint64, 3), make([][]atomic.Uint64, 3)
	for i := range counters {
		counters[i], gauges[i] = make([]atomic.Uint64, NumCounters), make([]atomic.Uint64, NumGauges)
	}
	options := func(i int) Options {
		return Options{
			Counters: counters[i], Gauges: gauges[i],
			AllCounters: func() [][]atomic.Uint64 { return counters },
			AllGauges:   func() [][]atomic.Uint64 { return gauges },
			CPUTime:     func() time.Duration { return 1500 * time.Millisecond },
			Restarts:    func() uint64 { return 7 },
			Started:     time.Unix(1000, 0),
		}
	}
	urls := []string{start(t, options(0)), start(t, options(1))}
	counters[2][cell(200, 0)].Add(10)

	for n, url := range urls {
		for range n + 1 {
			get(t, "GET", url+"/?it1=10&it2=1")
			get(t, "GET", url+"/?it1=x")
			get(t, "GET", url+"/nothing")
			get(t, "GET", url+"/healthz")
			get(t, "GET", url+"/admin/status")
		}
	}
	for _, url := range urls {
		got := scrape(t, url)
		require.Equal(t, map[string]float64{
			"http_requests_total 200": 13, "http_requests_total 400": 3, "http_requests_total 404": 3,
			"http_request_duration_seconds": 19, "http_requests_in_flight": 0,
			"process_cpu_seconds_total": 1.5, "process_start_time_seconds": 1000, "rampart_worker_restarts_total": 7,
		}, got)
	}
}

func TestMetricsAlone(t *testing.T) {
	url := start(t, Options{})
	before := scrape(t, url)
	_, _ = Work{10_000_000, 1}.Run(func() bool { return false })
	after := scrape(t, url)
	require.Greater(t, after["process_cpu_seconds_total"], before["process_cpu_seconds_total"])
	require.InDelta(t, time.Now().Unix(), before["process_start_time_seconds"], 5)
}

// TestAnswerIsCounted scrapes as soon as an answer is there, on another connection.
func TestAnswerIsCounted(t *testing.T) {
	url := start(t, Options{})
	for n := 1; n <= 50; n++ {
		get(t, "GET", url+"/?it1=10&it2=1")
		require.EqualValues(t, n, scrape(t, url)["http_requests_total 200"])
	}
}

func TestInFlight(t *testing.T) {
	url := start(t, Options{})
	var requests sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for range 3 {
		requests.Go(func() {
			req, _ := http.NewRequestWithContext(ctx, "GET", url+"/?it1=100000000000&it2=1", nil)
			if resp, err := http.DefaultClient.Do(req); err == nil {
				resp.Body.Close()
			}
		})
	}
	inFlight := func(n float64) func() bool {
		return func() bool { return scrape(t, url)["http_requests_in_flight"] == n }
	}
	require.Eventually(t, inFlight(3), late, time.Millisecond)
	cancel()
	requests.Wait()
	require.Eventually(t, inFlight(0), late, time.Millisecond)
	require.EqualValues(t, 3, scrape(t, url)["http_requests_total 499"])
}

// clientEnv makes this test binary a client that goes away: it holds the address.
const clientEnv = "RAMPART_TEST_CLIENT_THAT_GOES"

func TestMain(m *testing.M) {
	if address := os.Getenv(clientEnv); address != "" {
		if err := askAndGo(address); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// tries is how often the client goes away.
const tries = 9

// askAndGo asks for a long computation, closes the connection when it is under way and prints when
// that was, some times.
func askAndGo(address string) error {
	for range tries {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(conn, "GET /?it1=100000000000&it2=1 HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond)
		closed := time.Now()
		if err := conn.Close(); err != nil {
			return err
		}
		fmt.Println(closed.UnixNano())
		time.Sleep(20 * time.Millisecond) // or the next computation would compete with the one that is to end
	}
	return nil
}

// TestClientGoes holds that the loop of a client that goes away ends within 10 ms, also where a
// worker has one processor only. The client is another process: one in this process would need the
// processor itself, and so be noticed at once. The bound is half of that: without the pause the
// median is 8 to 31 ms, with it about 1 ms. The median of some tries is compared, because a machine
// that others share may take the processor away for longer than that. One that does much else does
// so in two rounds of three (6 busy loops on 2 processors), and one round without is enough: of 32
// without the pause, none was.
func TestClientGoes(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	ended := make(chan time.Time, tries)
	handler := New(Options{})
	server := httptest.NewUnstartedServer(nil)
	server.Config = Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r)
		ended <- time.Now()
	}), slog.New(slog.DiscardHandler))
	server.Start()
	defer server.Close()

	const bound, rounds = 5 * time.Millisecond, 10
	for round := 1; ; round++ {
		var took []time.Duration
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), clientEnv+"="+server.Listener.Addr().String())
		out, err := cmd.Output()
		require.NoError(t, err)
		for line := range strings.Lines(string(out)) {
			closed, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
			require.NoError(t, err)
			took = append(took, (<-ended).Sub(time.Unix(0, closed)))
		}
		slices.Sort(took)
		t.Log(took)
		require.Len(t, took, tries)
		if took[tries/2] < bound {
			return
		}
		require.Less(t, round, rounds, "a median below %s in none", bound)
	}
}

// TestClientGoesAfterABody sends a body, for which nobody asked, before it goes away.
func TestClientGoesAfterABody(t *testing.T) {
	url := start(t, Options{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	_, err = io.WriteString(conn, "GET /?it1=100000000000&it2=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return scrape(t, url)["http_requests_in_flight"] == 1 }, late, time.Millisecond)
	require.NoError(t, conn.Close())
	require.Eventually(t, func() bool { return scrape(t, url)["http_requests_total 499"] == 1 }, late, time.Millisecond)
}

// TestPipelinedRequestIsNoEnd sends the next request before the answer, which is not to be mistaken
// for going away.
func TestPipelinedRequestIsNoEnd(t *testing.T) {
	url := start(t, Options{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, strings.Repeat("GET /?it1=5000000&it2=1 HTTP/1.1\r\nHost: x\r\n\r\n", 2))
	require.NoError(t, err)
	for r := bufio.NewReader(conn); ; {
		resp, err := http.ReadResponse(r, nil)
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		if r.Buffered() == 0 {
			return
		}
	}
}

// TestLongComputationOutlivesReadTimeout holds that the limit for reading a request does not end
// its computation. net/http lifts it when it starts to look for the end of the connection.
func TestLongComputationOutlivesReadTimeout(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.Config = Server(New(Options{}), slog.New(slog.DiscardHandler))
	server.Config.ReadTimeout = 100 * time.Millisecond // enough to read it where much else is done
	server.Start()
	defer server.Close()
	begun := time.Now()
	resp, _ := get(t, "GET", server.URL+"/?it1=300000000&it2=1")
	require.Equal(t, 200, resp.StatusCode)
	require.Greater(t, time.Since(begun), 2*server.Config.ReadTimeout, "too short to show anything")
}

func TestWordsOfOneProcess(t *testing.T) {
	url := start(t, Options{Counters: make([]atomic.Uint64, NumCounters), Gauges: make([]atomic.Uint64, NumGauges)})
	require.Contains(t, scrape(t, url), "http_requests_total 200", "before the first request")
	get(t, "GET", url+"/?it1=10&it2=1")
	require.EqualValues(t, 1, scrape(t, url)["http_requests_total 200"])
}

func TestPanicIsCounted(t *testing.T) {
	m := &metrics{Options{}.withDefaults()}
	h := m.count(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	require.Panics(t, func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)) })
	require.EqualValues(t, 500, scrapedCode(t, m))
	require.Zero(t, m.Gauges[gaugeInFlight].Load())
}

// scrapedCode is the code of the only request that is counted.
func scrapedCode(t *testing.T, m *metrics) int {
	t.Helper()
	found := 0
	for i := range m.Counters[:cellNanos] {
		if n := m.Counters[i].Load(); n != 0 {
			require.Zero(t, found, "a second word")
			require.EqualValues(t, 1, n)
			found = firstCode + i/durations
		}
	}
	return found
}

// A process may be killed between any two writes, so what must agree is one.
func TestARequestIsOneWord(t *testing.T) {
	for _, code := range []int{0, 100, 200, 404, 503, 599, 999} {
		for _, took := range []time.Duration{0, 100 * time.Microsecond, time.Millisecond, time.Minute, time.Hour} {
			m := &metrics{Options{}.withDefaults()}
			m.add(code, took)
			require.Equal(t, min(max(code, firstCode), lastCode), scrapedCode(t, m), "%d %s", code, took)
		}
	}
	require.Equal(t, cellNanos-1, cell(lastCode, time.Hour), "the last word of a request is before the sum")
	require.NotEqual(t, cell(200, 100*time.Microsecond), cell(200, 101*time.Microsecond),
		"a bound belongs to the bucket below")
}

func TestSlowHeaderIsCutOff(t *testing.T) {
	server := Server(New(Options{}), slog.New(slog.DiscardHandler))
	require.Positive(t, server.ReadHeaderTimeout)
	require.Positive(t, server.ReadTimeout)
	require.Positive(t, server.IdleTimeout)
	url := start(t, Options{})
	resp, _ := get(t, "GET", url+"/healthz", "X-Large", strings.Repeat("x", 2*maxHeaderBytes))
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
}
