//go:build linux

package main

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
)

// late is when what should have come will come no more, also on a machine that does much else.
const late = 30 * time.Second

// master is the bundled server, known by its files alone.
type master struct {
	t        *testing.T
	log, pid string
}

func startServer(t *testing.T, args ...string) master {
	t.Helper()
	dir := t.TempDir()
	m := master{t: t, log: filepath.Join(dir, "log"), pid: filepath.Join(dir, "pid")}
	server := filepath.Join(dir, "server")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", server, "../../server").CombinedOutput()
	require.NoError(t, err, "%s", out)
	cmd := exec.Command(server, append(args, "-addr", "127.0.0.1:0", "-log-file", m.log, "-pidfile", m.pid)...)
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		if pid := m.master(); pid != 0 {
			syscall.Kill(pid, syscall.SIGTERM)
			require.Eventually(t, func() bool { return m.master() == 0 }, late, 5*time.Millisecond)
		}
		select {
		case <-ended:
		case <-time.After(late):
			cmd.Process.Kill()
			t.Error("the first master is left")
		}
		if t.Failed() {
			t.Log(m.text())
		}
	})
	m.says("listening on ", 1)
	return m
}

// master is the pid of the one that serves, 0 if none does.
func (m master) master() int {
	text, _ := os.ReadFile(m.pid)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

func (m master) text() string {
	text, _ := os.ReadFile(m.log)
	return string(text)
}

// says waits until the log has something so many times.
func (m master) says(what string, times int) {
	m.t.Helper()
	said := func() bool { return strings.Count(m.text(), what) >= times }
	require.Eventually(m.t, said, late, 5*time.Millisecond, what)
}

// The injector as the load, on connections that are kept and on new ones at once: reloads, an
// upgrade, recycling, more and fewer workers fail none of its requests.
func TestInjectorSeesNoFailure(t *testing.T) {
	m := startServer(t, "-workers", "2", "-max-requests", "500", "-max-requests-jitter", "100")
	_, addr, _ := strings.Cut(m.text(), "listening on ")
	addr, _, _ = strings.Cut(addr, "\n")
	window := 3 * time.Second
	if os.Getenv("SUPERVISOR_PROOF") != "" {
		window = time.Minute
	}
	var results [2]inject.Measurement
	var errs [2]error
	var group sync.WaitGroup
	for i := range results {
		target, err := inject.NewHTTP(inject.HTTPConfig{
			URL:         &url.URL{Scheme: "http", Host: addr, Path: "/", RawQuery: "it1=100&it2=1"},
			NoKeepAlive: i == 1,
		})
		require.NoError(t, err)
		group.Go(func() {
			results[i], errs[i] = inject.Run(t.Context(), target, inject.Load{VUs: 4, Window: window, Timeout: late})
		})
	}
	reloads := 0
	for end := time.Now().Add(window * 2 / 3); time.Now().Before(end); {
		require.NoError(t, syscall.Kill(m.master(), syscall.SIGHUP))
		reloads++
		m.says("msg=reloaded", reloads)
		require.NoError(t, syscall.Kill(m.master(), []syscall.Signal{syscall.SIGTTIN, syscall.SIGTTOU}[reloads%2]))
		m.says("number of workers changed", reloads)
	}
	require.NoError(t, syscall.Kill(m.master(), syscall.SIGUSR2))
	m.says("upgraded: this master leaves", 1)
	group.Wait()
	for i, result := range results {
		require.NoError(t, errs[i])
		require.Zero(t, result.Failures.Total(), "%v", result.Failures)
		require.Greater(t, result.Completed, uint64(20*reloads))
	}
	require.NotContains(t, m.text(), "worker died")
	t.Logf("%d reloads, %d requests", reloads, results[0].Completed+results[1].Completed)
}
