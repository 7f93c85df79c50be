//go:build linux

package prefork

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// buildOnDisk is a program file of its own, which a test may replace.
type buildOnDisk struct {
	t    *testing.T
	path string
	size int
}

func newBuild(t *testing.T) *buildOnDisk {
	b := &buildOnDisk{t: t, path: filepath.Join(t.TempDir(), "program")}
	b.rebuild()
	return b
}

// rebuild puts a new build in place: the test binary with one byte more behind it each time, which
// do not matter to what it does.
func (b *buildOnDisk) rebuild() {
	b.t.Helper()
	exe, err := os.Executable()
	require.NoError(b.t, err)
	from, err := os.Open(exe)
	require.NoError(b.t, err)
	defer from.Close()
	b.put(func(to *os.File) {
		copied, err := io.Copy(to, from) // by the kernel
		require.NoError(b.t, err)
		b.size = max(b.size, int(copied)) + 1
		require.NoError(b.t, to.Truncate(int64(b.size)))
	})
}

// replace puts a text in place.
func (b *buildOnDisk) replace(text string) {
	b.t.Helper()
	b.put(func(to *os.File) {
		_, err := io.WriteString(to, text)
		require.NoError(b.t, err)
	})
}

func (b *buildOnDisk) put(write func(to *os.File)) {
	b.t.Helper()
	next := b.path + ".new"
	to, err := os.OpenFile(next, os.O_CREATE|os.O_WRONLY, 0o755)
	require.NoError(b.t, err)
	write(to)
	require.NoError(b.t, to.Close())
	require.NoError(b.t, os.Rename(next, b.path))
}

// watchReady looks at how many workers are ready until stop is called, which returns the least.
func (s *server) watchReady() (stop func() int) {
	done, least := make(chan struct{}), make(chan int)
	go func() {
		seen := 1 << 20
		for {
			select {
			case <-done:
				least <- seen
				return
			default:
			}
			ready := 0
			for _, w := range s.shared().Status.Workers {
				if w.State == "ready" {
					ready++
				}
			}
			seen = min(seen, ready)
			thinking()
		}
	}()
	return func() int {
		close(done)
		return <-least
	}
}

// generations are those of the workers that are not about to leave, by how many there are of each.
func (s *server) generations() map[uint64]int {
	s.t.Helper()
	of := map[uint64]int{}
	for _, w := range s.shared().Status.Workers {
		if w.State != "draining" {
			of[w.Generation]++
		}
	}
	return of
}

func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	const workers = 3
	reloads, requests := often(4, 20), int64(often(0, 100_000))
	s := startServer(t, Config{Workers: workers, Counters: 1, Gauges: 1})
	before := descriptors(t, s.cmd.Process.Pid)
	clients := s.startClients(8, "/count", busy)
	ready := s.watchReady()
	for n := range reloads {
		s.signal(unix.SIGHUP)
		s.waitLog("msg=reloaded", fmt.Sprintf("generation=%d ", n+2))
		eventually(t, "requests", func() bool { return clients.answers.Load() >= requests*int64(n+1)/int64(reloads) })
	}
	require.GreaterOrEqual(t, ready(), workers)
	clients.end()
	require.Equal(t, map[uint64]int{uint64(reloads) + 1: workers}, s.generations())
	require.Empty(t, s.shared().Status.LastReload.Error)
	require.Equal(t, uint64(clients.answers.Load()), s.shared().Counter)
	require.Zero(t, s.shared().Status.Restarts)
	require.Len(t, s.pidsStarted(), (reloads+1)*workers)
	// What a generation needed goes with it.
	eventually(t, "the replaced workers are gone", func() bool { return len(s.shared().Status.Workers) == workers })
	eventually(t, "no descriptor is left over", func() bool { return descriptors(t, s.cmd.Process.Pid) <= before })
}

// descriptors is how many a process has.
func descriptors(t *testing.T, pid int) int {
	t.Helper()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	require.NoError(t, err)
	return len(fds)
}

func TestReloadTakesTheBuildOnDisk(t *testing.T) {
	t.Parallel()
	build := newBuild(t)
	first := build.size
	s := startProgram(t, build.path, configText(t, Config{Workers: 2, Counters: 1, Gauges: 1})).listening()
	build.rebuild()
	second := build.size
	require.NoError(t, unix.Kill(s.pidsStarted()[0], unix.SIGKILL))
	eventually(t, "replaced", func() bool { return s.shared().Status.Restarts == 1 && s.generations()[1] == 2 })
	require.Equal(t, strconv.Itoa(first), s.get("/build"), "a worker that died comes from the build that it was of")
	s.signal(unix.SIGHUP)
	s.waitLog("msg=reloaded", "generation=2 ")
	require.Equal(t, strconv.Itoa(second), s.get("/build"))
	for _, pid := range s.pidsStarted()[3:] {
		require.NoError(t, unix.Kill(pid, unix.SIGKILL))
	}
	eventually(t, "replaced", func() bool { return s.shared().Status.Restarts == 3 && s.generations()[2] == 2 })
	require.Equal(t, strconv.Itoa(second), s.get("/build"))
}

// Under a symbolic link, the release that the link leads to by now.
func TestReloadFollowsTheLink(t *testing.T) {
	t.Parallel()
	one, two := newBuild(t), newBuild(t)
	two.rebuild()
	link := filepath.Join(t.TempDir(), "current")
	require.NoError(t, os.Symlink(one.path, link))
	s := startProgram(t, link, configText(t, Config{Workers: 1, Counters: 1, Gauges: 1})).listening()
	require.Equal(t, strconv.Itoa(one.size), s.get("/build"))
	require.NoError(t, os.Remove(link))
	require.NoError(t, os.Symlink(two.path, link))
	s.signal(unix.SIGHUP)
	s.waitLog("msg=reloaded")
	require.Equal(t, strconv.Itoa(two.size), s.get("/build"))
}

// What cannot serve does not replace what serves.
func TestReloadOfABrokenBuildIsRolledBack(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]string{
		"not a program": "neither",
		"exits":         "#!/bin/sh\nexit 9\n",
		"missing":       "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			build := newBuild(t)
			s := startProgram(t, build.path, configText(t, Config{Workers: 2, Counters: 1, Gauges: 1})).listening()
			clients := s.startClients(4, "/count", thinking)
			good := build.size
			if broken == "" {
				require.NoError(t, os.Remove(build.path))
			} else {
				build.replace(broken)
			}
			ready := s.watchReady()
			s.signal(unix.SIGHUP)
			s.waitLog("reload failed", "reason=")
			require.GreaterOrEqual(t, ready(), 2)
			clients.end()
			require.Equal(t, map[uint64]int{1: 2}, s.generations())
			status := s.shared().Status
			require.Equal(t, uint64(1), status.Generation)
			require.NotEmpty(t, status.LastReload.Error)
			require.Equal(t, strconv.Itoa(good), s.get("/build"))
			build.rebuild()
			s.signal(unix.SIGHUP)
			s.waitLog("msg=reloaded")
			require.Equal(t, strconv.Itoa(build.size), s.get("/build"), "the next one is not held up")
		})
	}
}

// The workers that are there already go as well, when a later one of the same generation fails.
func TestReloadIsRolledBackWhole(t *testing.T) {
	t.Parallel()
	// The fourth worker is the first of the new generation.
	s := startServer(t, Config{Workers: 3, Counters: 1, Gauges: 1},
		trickEnv+"=fifth-exits:"+filepath.Join(t.TempDir(), "started"))
	clients := s.startClients(4, "/count", thinking)
	ready := s.watchReady()
	s.signal(unix.SIGHUP)
	s.waitLog("reload failed", "failed=2")
	require.Equal(t, 4, strings.Count(s.text(), `msg="worker ready"`))
	eventually(t, "the old generation is back", func() bool {
		of := s.generations()
		return of[1] == 3 && len(of) == 1
	})
	require.GreaterOrEqual(t, ready(), 3)
	clients.end()
	require.NotEmpty(t, s.get("/pid"))
}

// Reloads that are asked for meanwhile are one more.
func TestReloadDuringReload(t *testing.T) {
	t.Parallel()
	trick := filepath.Join(t.TempDir(), "trick")
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1}, trickEnv+"="+trick)
	require.NoError(t, os.WriteFile(trick, []byte("wait"), 0o600))
	s.signal(unix.SIGHUP)
	s.waitLog("msg=reloading", "generation=2 ")
	for n := range 3 {
		s.signal(unix.SIGHUP)
		eventually(t, "heard", func() bool { return strings.Count(s.text(), "reload asked for") == n+2 })
	}
	require.NoError(t, os.Remove(trick))
	s.waitLog("msg=reloaded", "generation=3 ")
	s.signal(unix.SIGTERM)
	require.Equal(t, 0, s.wait())
	require.NotContains(t, s.text(), "generation=4 ")
}

func TestStopDuringReload(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1})
	clients := s.startClients(4, "/sleep?d=2ms", thinking)
	s.signal(unix.SIGHUP)
	s.waitLog("msg=reloading")
	s.signal(unix.SIGTERM)
	require.Equal(t, 0, s.wait())
	clients.group.Wait()
	clients.end()
}

func TestWorkersAreAddedAndTakenAway(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1})
	clients := s.startClients(8, "/count", thinking)
	ready := s.watchReady()
	becomes := func(workers int) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d workers", workers), func() bool {
			n := 0
			for _, w := range s.shared().Status.Workers {
				if w.State == "ready" {
					n++
				}
			}
			return n == workers && len(s.shared().Status.Workers) == workers
		})
	}
	for range often(1, 3) {
		s.signal(unix.SIGTTIN)
		becomes(3)
		s.signal(unix.SIGTTIN)
		becomes(4)
		s.signal(unix.SIGTTOU)
		becomes(3)
		s.signal(unix.SIGTTOU)
		becomes(2)
	}
	s.signal(unix.SIGTTIN)
	becomes(3)
	s.signal(unix.SIGHUP)
	s.waitLog("msg=reloaded", "workers=3")
	becomes(3)
	for n := 2; n >= 1; n-- {
		s.signal(unix.SIGTTOU)
		becomes(n)
	}
	s.signal(unix.SIGTTOU)
	s.waitLog("number of workers stays", "workers=1")
	becomes(1)
	require.GreaterOrEqual(t, ready(), 1)
	clients.end()
	require.Equal(t, uint64(clients.answers.Load()), s.shared().Counter)
	require.Zero(t, s.shared().Status.Restarts)
}

// During the start, the workers that are ready may be all that are still wanted.
func TestWorkersAreTakenAwayDuringTheStart(t *testing.T) {
	t.Parallel()
	s := startMaster(t, Config{Workers: 2, Counters: 1, Gauges: 1, BootTimeout: time.Hour}, trickEnv+"=last-hangs")
	s.waitLog("hanging")
	s.signal(unix.SIGTTOU)
	s.listening()
	require.NotEmpty(t, s.get("/pid"))
	eventually(t, "the other one leaves", func() bool { return len(s.shared().Status.Workers) == 1 })
}

func TestMostWorkers(t *testing.T) {
	require.Equal(t, 64, mostWorkers(1))
	require.Equal(t, 64, mostWorkers(32))
	require.Equal(t, 200, mostWorkers(100))
}
