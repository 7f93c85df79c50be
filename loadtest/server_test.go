//go:build !load

package loadtest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
)

// TestBuildServerCanceled: Ctrl-C while the server is built once said "go build: signal: killed".
func TestBuildServerCanceled(t *testing.T) {
	dir := t.TempDir()
	begun := filepath.Join(dir, "begun")
	script := "#!/bin/sh\n: > " + begun + "\nexec sleep 60\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go"), []byte(script), 0o777))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for t.Context().Err() == nil {
			if _, err := os.Stat(begun); err == nil {
				cancel(errors.New("interrupted"))
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	_, err := BuildServer(ctx, dir)
	require.EqualError(t, err, "building the bundled server: interrupted")
}

// TestRealServer ramps the bundled server by both rules, which must have counted exactly what the
// ramps completed.
func TestRealServer(t *testing.T) {
	path, err := BuildServer(t.Context(), t.TempDir())
	require.NoError(t, err)
	server, err := StartServer(t.Context(), path, "-addr", "127.0.0.1:0")
	require.NoError(t, err)
	e := loadOf(t, server, 200*time.Millisecond)

	completed := uint64(0)
	for _, rule := range []string{RuleClassic, RuleConfident} {
		if rule == RuleConfident {
			e.Warmup = 0 // which no level counts
		}
		result, err := Ramp{Experiment: e, MaxVUs: 16, Rule: rule}.Run(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, result.Accepted())
		for _, l := range result.Levels {
			require.Zero(t, l.Failures.Total())
			for _, d := range l.Doubts { // of others there may be any, beside other tests
				require.NotEqual(t, DoubtLittle, d.Kind, d.Text)
			}
			require.NotNil(t, l.ServerCPU)
			require.Positive(t, l.ServerCPU.Used)
			completed += l.Completed
		}
	}
	require.Equal(t, map[string]uint64{"200": completed}, requestsByCode(t, server.Addr))

	// Its metrics tell the same processor time as its processes.
	page, err := url.Parse("http://" + server.Addr)
	require.NoError(t, err)
	told, err := metricsCPU(t.Context(), inject.HTTPConfig{URL: page}, page.Host)()
	require.NoError(t, err)
	metered, err := server.CPU()
	require.NoError(t, err)
	require.Less(t, told, metered, "the master's is only in the latter")
	require.InEpsilon(t, metered, told, 0.2)

	require.NoError(t, server.Stop())
	require.ErrorContains(t, server.Stop(), "had ended before")
}

// loadOf is an experiment on the bundled server that is done soon.
func loadOf(t *testing.T, s *Server, window time.Duration) Experiment {
	t.Helper()
	target, err := HTTP("http://" + s.Addr + "/?it1=10000&it2=1")
	require.NoError(t, err)
	return Experiment{Target: target, Window: window, Warmup: window / 10, ServerCPU: s.CPU}
}

// requestsByWorker asks /admin/status, and returns when the server has closed the connection: it is
// not to be found among those over which the next ones are spread.
func requestsByWorker(t *testing.T, address string) map[int]uint64 {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "GET /admin/status HTTP/1.0\r\nAuthorization: Bearer %s\r\n\r\n", os.Getenv("SECRET_KEY"))
	require.NoError(t, err)
	all, err := io.ReadAll(conn)
	require.NoError(t, err)
	_, body, _ := strings.Cut(string(all), "\r\n\r\n")
	var status struct {
		Workers []struct {
			Slot     int
			Requests uint64
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &status), body)
	counts := make(map[int]uint64)
	for _, w := range status.Workers {
		counts[w.Slot] = w.Requests
	}
	return counts
}

func requestsByCode(t *testing.T, address string) map[string]uint64 {
	t.Helper()
	resp, err := http.Get("http://" + address + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	require.NoError(t, err)
	counts := make(map[string]uint64)
	for _, m := range families["http_requests_total"].GetMetric() {
		counts[m.GetLabel()[0].GetValue()] += uint64(m.GetCounter().GetValue())
	}
	return counts
}

// TestVUsSpreadOverWorkers starts the server afresh and finds each VU on a worker of its own, as
// long as there are enough.
func TestVUsSpreadOverWorkers(t *testing.T) {
	path, err := BuildServer(t.Context(), t.TempDir())
	require.NoError(t, err)
	starts, err := strconv.Atoi(cmp.Or(os.Getenv("STARTS"), "3")) // make scaling asks for more
	require.NoError(t, err)
	for range starts {
		t.Setenv("SECRET_KEY", "spread")
		server, err := StartServer(t.Context(), path, "-addr", "127.0.0.1:0", "-workers", "5")
		require.NoError(t, err)
		for _, vus := range []int{1, 2, 4, 5} {
			e := loadOf(t, server, 50*time.Millisecond)
			before := requestsByWorker(t, server.Addr)
			_, err = e.Level(t.Context(), vus)
			require.NoError(t, err)
			busy := 0
			for slot, n := range requestsByWorker(t, server.Addr) {
				if n-before[slot] > 5 {
					busy++
				}
			}
			require.Equal(t, vus, busy)
		}
		require.NoError(t, server.Stop())
	}
}

func TestStartServerThatDoesNot(t *testing.T) {
	_, err := StartServer(t.Context(), "/nonexistent/server")
	require.ErrorContains(t, err, "no such file")

	_, err = StartServer(t.Context(), "sh", "-c", "echo no database >&2; exit 3")
	require.ErrorContains(t, err, "it ended before it served")
	require.ErrorContains(t, err, "no database")

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err = StartServer(ctx, "sleep", "60")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(begun), 10*time.Second)
}

func TestStopServerThatFails(t *testing.T) {
	server, err := StartServer(t.Context(), "sh", "-c",
		"trap 'echo disk full >&2; exit 4' TERM; echo listening on 127.0.0.1:1 >&2; while :; do sleep 0.01; done")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:1", server.Addr)
	err = server.Stop()
	require.ErrorContains(t, err, "did not stop properly (exit status 4)")
	require.ErrorContains(t, err, "disk full")
}

// orphanEnv makes this test binary start a server and be killed: it holds the path of the server.
const orphanEnv = "RAMPART_TEST_ORPHAN"

// TestServerEndsWithItsParent kills a process that started a server.
func TestServerEndsWithItsParent(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), orphanEnv+"=sleep 60")
	out, err := cmd.Output()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal())
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return syscall.Kill(pid, 0) != nil }, 30*time.Second, time.Millisecond)
}

// TestServerThatEndsNoLine: the whole output of a server that never ends a line was kept.
func TestServerThatEndsNoLine(t *testing.T) {
	server, err := StartServer(t.Context(), "sh", "-c",
		"head -c 20000000 /dev/zero | tr '\\0' x; echo; echo listening on 127.0.0.1:1; head -c 5000000 /dev/zero | tr "+
			"'\\0' y; exec sleep 60")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:1", server.Addr)
	require.Eventually(t, func() bool { return strings.HasSuffix(server.output.String(), "y") }, 10*time.Second,
		time.Millisecond)
	require.NoError(t, ignoreEnd(server.Stop()))
	require.LessOrEqual(t, len(server.output.String()), 40*longestLine)
}

// ignoreEnd is for the end of a program that ends by the signal.
func ignoreEnd(err error) error {
	if err != nil && strings.Contains(err.Error(), "signal: terminated") {
		return nil
	}
	return err
}

// TestExperimentWithoutTarget: it panicked.
func TestExperimentWithoutTarget(t *testing.T) {
	_, err := Experiment{Window: time.Millisecond}.Level(t.Context(), 1)
	require.ErrorContains(t, err, "no target")
	_, err = Ramp{}.Run(t.Context())
	require.ErrorContains(t, err, "no target")
}
