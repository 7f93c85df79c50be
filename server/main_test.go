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
			return nil
		},
		RequireExplicitExec: true,
	})
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
	case <-time.After(20 * time.Second):
		require.Fail(t, "it does not serve", "%s", p)
	}
	return p
}

func (p *program) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// wait waits for the end of the program and of its output, which its workers hold open, and returns its exit code.
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

// metric is the sum of a metric over its labels.
func (p *program) metric(name string) float64 {
	p.t.Helper()
	_, body := p.get("/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	require.NoError(p.t, err)
	sum := 0.0
	for _, m := range families[name].GetMetric() {
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
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

// TestMetricsSurviveWorkers kills one worker after the other between requests that go to all of them.
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
		require.Eventually(t, func() bool { return p.metric("rampart_worker_restarts_total") == float64(n) },
			10*time.Second, 5*time.Millisecond)
		require.Eventually(t, func() bool { return len(p.workers()) == 3 }, 10*time.Second, 5*time.Millisecond)
		require.NotContains(t, p.workers(), victim)
		send()
	}
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 0, p.wait())
}

// TestTermTwice holds that a repeated TERM does not cut off what the first one lets finish.
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
	require.Eventually(t, func() bool { return p.metric("http_requests_in_flight") == 1 }, 5*time.Second, time.Millisecond)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil
	}, 5*time.Second, time.Millisecond)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, <-answer)
	require.Equal(t, 0, p.wait(), "%s", p)
}
