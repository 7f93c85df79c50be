package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

// TestMain makes this test binary the server when it is called so, in scripts and by start.
func TestMain(m *testing.M) {
	// With -race, a process sleeps for a second before it ends, in case a race is about to be
	// reported: a worker, and then its master.
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	testscript.Main(m, map[string]func(){"server": main})
}

func TestScripts(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { busy.Close() }) // after the scripts, which run in parallel to this function
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("..", "testdata", "server"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("BUSY", busy.Addr().String())
			e.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
		RequireExplicitExec: true,
	})
}

const (
	// late is when what should have come will come no more. It is long because a machine that
	// builds and tests much else at once, under the race detector, may take its time for anything.
	late = 30 * time.Second
	// grace is the one that a server has by default. A stop that takes half as long did not wait
	// for it.
	grace = 30 * time.Second
)

// eventually waits until done reports true.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(late); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			require.FailNow(t, "did not happen", what)
		}
	}
}

// program is a running server.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	url  string
	read sync.WaitGroup
	mu   sync.Mutex
	said strings.Builder
}

// start runs the server as a program of its own and waits until it says where it listens.
func start(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	path, err := exec.LookPath("server") // where testscript has put this test binary under that name
	require.NoError(t, err)
	p := &program{t: t, cmd: exec.Command(path, append([]string{"-addr", "127.0.0.1:0"}, args...)...)}
	p.cmd.Env = append(os.Environ(), env...)
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	listening := make(chan string, 1)
	p.read.Go(func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			p.mu.Lock()
			p.said.WriteString(lines.Text() + "\n")
			p.mu.Unlock()
			if at, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
				listening <- at
			}
		}
		close(listening)
	})
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
			p.wait()
		}
	})
	select {
	case at, ok := <-listening:
		require.True(t, ok, "it ended: %s", p)
		p.url = "http://" + at
	case <-time.After(late):
		require.Fail(t, "it does not serve", "%s", p)
	}
	return p
}

func (p *program) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// wait waits for the end of the program and of its output, which its workers hold open, and returns
// its exit code.
func (p *program) wait() int {
	p.read.Wait()
	_ = p.cmd.Wait() // the exit code says it
	return p.cmd.ProcessState.ExitCode()
}

func (p *program) get(path string, header ...string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), "GET", p.url+path, nil)
	require.NoError(p.t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	req.Close = true // by whichever worker it is next time
	resp, err := http.DefaultClient.Do(req)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	return resp.StatusCode, string(body)
}

// scrape is what /metrics says: each counter and gauge under its name and labels, and what a
// histogram consists of.
func (p *program) scrape() (map[string]float64, error) {
	req, err := http.NewRequestWithContext(p.t.Context(), "GET", p.url+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	values := make(map[string]float64)
	for name, family := range families {
		for _, m := range family.GetMetric() {
			if h := m.GetHistogram(); h != nil {
				values[name+" count"], values[name+" sum"] = float64(h.GetSampleCount()), h.GetSampleSum()
				for _, b := range h.GetBucket() {
					values[fmt.Sprintf("%s %g", name, b.GetUpperBound())] = float64(b.GetCumulativeCount())
				}
				continue
			}
			key := name
			for _, l := range m.GetLabel() {
				key += " " + l.GetValue()
			}
			values[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return values, err
}

// metric is the sum of a counter or gauge over its labels.
func (p *program) metric(name string) float64 {
	p.t.Helper()
	values, err := p.scrape()
	require.NoError(p.t, err)
	sum := 0.0
	for key, value := range values {
		if metric, _, _ := strings.Cut(key, " "); metric == name {
			sum += value
		}
	}
	return sum
}

const secret = "the-s3cret-of-this-test"

// workers are the pids of the workers that are ready.
func (p *program) workers() []int {
	p.t.Helper()
	code, body := p.get("/admin/status", "Authorization", "Bearer "+secret)
	require.Equal(p.t, 200, code)
	var status struct {
		Workers []struct {
			PID   int
			State string
		}
	}
	require.NoError(p.t, json.Unmarshal([]byte(body), &status))
	var pids []int
	for _, w := range status.Workers {
		if w.State == "ready" {
			pids = append(pids, w.PID)
		}
	}
	return pids
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// TestCycle goes through a server's life, with workers and without.
func TestCycle(t *testing.T) {
	for _, workers := range []string{"0", "3"} {
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			t.Run(fmt.Sprintf("workers=%s/%v", workers, sig), func(t *testing.T) {
				t.Parallel()
				p := start(t, []string{"SECRET_KEY=" + secret}, "-workers", workers)
				code, body := p.get("/?it1=1000&it2=1")
				require.Equal(t, 200, code)
				require.Regexp(t, `^Server: 127\.0\.0\.1\. Time: \d\d:\d\d:\d\d\. Computation took \S+ s\n$`, body)
				code, _ = p.get("/healthz")
				require.Equal(t, 200, code)
				require.NoError(t, askHealth(strings.TrimPrefix(p.url, "http://")))
				require.EqualValues(t, 1, p.metric("http_requests_total"))
				code, _ = p.get("/admin/status")
				require.Equal(t, 401, code)
				code, _ = p.get("/admin/status", "Authorization", "Bearer "+secret)
				require.Equal(t, 200, code)
				pids := p.workers()
				require.NoError(t, p.cmd.Process.Signal(sig))
				require.Equal(t, 0, p.wait(), "%s", p)
				for _, pid := range pids {
					require.False(t, alive(pid), "worker %d is left", pid)
				}
				require.NotContains(t, p.String(), secret)
				require.Equal(t, 1, strings.Count(p.String(), "listening on 127.0.0.1:"))
			})
		}
	}
}

// TestHealth asks servers that do not serve; TestCycle has one that does.
func TestHealth(t *testing.T) {
	ill := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			http.Error(w, "ill", http.StatusServiceUnavailable)
		}
	}))
	defer ill.Close()
	_, port, err := net.SplitHostPort(ill.Listener.Addr().String())
	require.NoError(t, err)
	// Nobody's own address: that of any, and none.
	for _, addr := range []string{"127.0.0.1:" + port, "0.0.0.0:" + port, ":" + port} {
		require.ErrorContains(t, askHealth(addr), `503 Service Unavailable: "ill"`)
	}
	ill.Close()
	require.ErrorIs(t, askHealth(ill.Listener.Addr().String()), syscall.ECONNREFUSED)
	require.ErrorContains(t, askHealth(":0"), "set -addr or BIND")
}

// TestSecretIsNowhere looks where others could see it.
func TestSecretIsNowhere(t *testing.T) {
	p := start(t, []string{"SECRET_KEY=" + secret}, "-workers", "2")
	for _, pid := range append(p.workers(), p.cmd.Process.Pid) {
		cmdline, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		require.NoError(t, err)
		require.NotContains(t, string(cmdline), secret)
		require.True(t, bytes.Contains(cmdline, []byte("-workers")), "%q", cmdline)
	}
	for _, path := range []string{"/admin/status", "/admin/pprof/cmdline", "/metrics", "/admin/pprof/goroutine?debug=2"} {
		_, body := p.get(path, "Authorization", "Bearer "+secret)
		require.NotContains(t, body, secret, path)
		_, body = p.get(path, "Authorization", "Bearer x"+secret)
		require.NotContains(t, body, secret, path)
	}
	require.NotContains(t, p.String(), secret)
}

// TestMetricsSurviveWorkers kills one worker after the other between requests that go to all of
// them.
func TestMetricsSurviveWorkers(t *testing.T) {
	p := start(t, []string{"SECRET_KEY=" + secret}, "-workers", "3")
	sent, cpu := 0, 0.0
	send := func() {
		for range 30 {
			code, _ := p.get("/?it1=100000&it2=1")
			require.Equal(t, 200, code)
			sent++
		}
		require.EqualValues(t, sent, p.metric("http_requests_total"))
		now := p.metric("process_cpu_seconds_total")
		require.GreaterOrEqual(t, now, cpu)
		cpu = now
	}
	send()
	require.Positive(t, cpu)
	for n := 1; n <= 3; n++ {
		victim := p.workers()[0]
		require.NoError(t, syscall.Kill(victim, syscall.SIGKILL))
		eventually(t, "started again", func() bool { return p.metric("rampart_worker_restarts_total") == float64(n) })
		eventually(t, "all are ready", func() bool { return len(p.workers()) == 3 })
		require.NotContains(t, p.workers(), victim)
		send()
	}
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 0, p.wait())
}

// traffic is what clients know of their requests. It grows over all loads.
type traffic struct {
	sent, answered atomic.Int64
}

// load has clients make requests until stop is called, which waits for the last answers. Half of
// them make a connection for each request, the others keep theirs and send what http.Transport does
// not send again on its own.
func (p *program) load(ok, refused *traffic) (stop func()) {
	done := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 4 {
		count, method := ok, "GET"
		if i%2 == 1 {
			count, method = refused, "POST"
		}
		clients.Go(func() {
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: count == ok}, Timeout: late}
			defer client.CloseIdleConnections()
			for {
				select {
				case <-done:
					return
				case <-time.After(time.Millisecond): // leave processors to the workers that start
				}
				var body io.Reader
				if method == "POST" {
					body = io.NopCloser(strings.NewReader("x")) // which cannot be had again
				}
				req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+"/?it1=10&it2=1", body)
				if err != nil {
					p.t.Error(err)
					return
				}
				count.sent.Add(1)
				resp, err := client.Do(req)
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				if err == nil {
					count.answered.Add(1)
				}
			}
		})
	}
	return func() {
		close(done)
		clients.Wait()
	}
}

// TestMetricsEqualTheClientsCount has clients count under recycling, reloads and kills. Of a
// request that failed, which only kills make, they cannot know whether it was counted: it counts as
// at most one. All others were counted once, and are while it happens: each scrape lies between
// what was answered before it and what was sent after it.
func TestMetricsEqualTheClientsCount(t *testing.T) {
	p := start(t, []string{"SECRET_KEY=" + secret}, "-workers", "2", "-max-requests", "100", "-max-requests-jitter", "20")
	var ok, refused traffic
	var last map[string]float64
	reloads, kills := 0, 0
	look := func() {
		t.Helper()
		answered := [...]int64{ok.answered.Load(), refused.answered.Load()}
		now, err := p.scrape()
		if err != nil && kills > 0 { // it may have come to a worker that is about to die
			return
		}
		require.NoError(t, err)
		for name, value := range last {
			if name != "http_requests_in_flight" {
				require.GreaterOrEqual(t, now[name], value, name)
			}
		}
		last = now
		sent := [...]int64{ok.sent.Load(), refused.sent.Load()}
		for i, code := range []string{"200", "405"} {
			n := now["http_requests_total "+code]
			require.GreaterOrEqual(t, n, float64(answered[i]), code)
			require.LessOrEqual(t, n, float64(sent[i]), code)
		}
		require.Equal(t, now["http_request_duration_seconds count"],
			now["http_requests_total 200"]+now["http_requests_total 405"])
	}
	pids := func() map[int]bool {
		of := map[int]bool{}
		for _, pid := range p.workers() {
			of[pid] = true
		}
		return of
	}
	for _, during := range []struct {
		what string
		do   func() (done func() bool)
	}{
		{"recycling", func() func() bool {
			before := pids()
			return func() bool {
				now := pids()
				for pid := range before {
					if now[pid] {
						return false
					}
				}
				return true
			}
		}},
		{"a reload", func() func() bool {
			reloads++
			require.NoError(t, p.cmd.Process.Signal(syscall.SIGHUP))
			return func() bool { return strings.Count(p.String(), "msg=reloaded") == reloads }
		}},
		{"a kill", func() func() bool {
			kills++
			victim := p.workers()[0] // which may be about to leave, so this is not always a restart
			require.NoError(t, syscall.Kill(victim, syscall.SIGKILL))
			return func() bool { return !alive(victim) && len(p.workers()) >= 2 }
		}},
	} {
		for range 2 {
			stop := p.load(&ok, &refused)
			done := during.do()
			eventually(t, during.what, func() bool { look(); return done() })
			stop()
			look() // now that all is at rest
			failed := ok.sent.Load() + refused.sent.Load() - ok.answered.Load() - refused.answered.Load()
			t.Logf("%s: %d and %d requests, of which %d failed", during.what, ok.sent.Load(), refused.sent.Load(), failed)
			if kills == 0 {
				require.Zero(t, failed, during.what)
			}
		}
	}
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 0, p.wait())
}

// TestSlowHeads holds that who sends the head of a request slowly stands in nobody's way, in
// whatever number: others are answered before the first slow one is cut off, which is after ten
// seconds. Nor does a quick stop wait for them.
func TestSlowHeads(t *testing.T) {
	p := start(t, nil, "-workers", "2")
	for range 500 {
		c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: slow\r\n")
		require.NoError(t, err)
	}
	begin := time.Now()
	for range 50 {
		code, _ := p.get("/?it1=1&it2=1")
		require.Equal(t, 200, code)
	}
	require.Less(t, time.Since(begin), 10*time.Second)
	begin = time.Now()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGINT))
	require.Equal(t, 0, p.wait())
	require.Less(t, time.Since(begin), grace/2)
	require.NotContains(t, p.String(), "killing worker")
}

// TestLargeHead is refused as what it is.
func TestLargeHead(t *testing.T) {
	p := start(t, nil, "-workers", "1")
	resp, err := http.Get(p.url + "/?it1=1&it2=1")
	require.NoError(t, err)
	resp.Body.Close()
	req, err := http.NewRequestWithContext(t.Context(), "GET", p.url+"/?it1=1&it2=1", nil)
	require.NoError(t, err)
	req.Header.Set("X-Large", strings.Repeat("x", 2<<20))
	resp, err = http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
	code, _ := p.get("/?it1=1&it2=1")
	require.Equal(t, 200, code)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 0, p.wait())
}

// TestExitCodes are what a supervisor of this one goes by; beside them there is one line.
func TestExitCodes(t *testing.T) {
	path, err := exec.LookPath("server")
	require.NoError(t, err)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer busy.Close()
	for _, tt := range []struct {
		args string
		code int
		line string
	}{
		{"-addr " + busy.Addr().String(), exitError, "address already in use"},
		{"-addr 127.0.0.1:0 -pidfile /nowhere/pid", exitError, "/nowhere/pid: no such file"},
		{"-addr 127.0.0.1:0 -log-file /nowhere/log", exitError, "/nowhere/log: no such file"},
		{"-addr 127.0.0.1:0 -workers 0 -log-file /nowhere/log", exitError, "/nowhere/log: no such file"},
		{"-ador 127.0.0.1:0", exitUsage, "-ador"},
		{"-workers -1", exitUsage, "-workers"},
	} {
		cmd := exec.Command(path, strings.Fields(tt.args)...)
		out, err := cmd.CombinedOutput()
		require.Error(t, err, tt.args)
		require.Equal(t, tt.code, cmd.ProcessState.ExitCode(), "%s: %s", tt.args, out)
		require.Equal(t, 1, strings.Count(string(out), "\n"), "%s: %s", tt.args, out)
		require.Contains(t, string(out), tt.line)
	}
}

// TestTermTwice holds that a TERM that comes twice at once does not cut off what the first one lets
// finish.
func TestTermTwice(t *testing.T) {
	p := start(t, nil, "-workers", "0")
	answer := make(chan error, 1)
	go func() {
		resp, err := http.Get(p.url + "/?it1=500000000&it2=1")
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		answer <- err
	}()
	eventually(t, "in flight", func() bool { return p.metric("http_requests_in_flight") == 1 })
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	eventually(t, "it stops", func() bool { return strings.Contains(p.String(), "msg=stopping") })
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, <-answer)
	require.Equal(t, 0, p.wait(), "%s", p)
}
