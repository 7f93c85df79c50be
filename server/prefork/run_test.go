//go:build linux

package prefork

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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
	"golang.org/x/sys/unix"
)

func TestAllWorkersServeWhenReady(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 3, Counters: 1, Gauges: 1})
	text, _, _ := strings.Cut(s.text(), "listening on")
	require.Equal(t, 3, strings.Count(text, `msg="worker ready"`))
	st := s.shared().Status
	require.Len(t, st.Workers, 3)
	for i, w := range st.Workers {
		require.Equal(t, i, w.Slot)
		require.Equal(t, "ready", w.State)
		require.Equal(t, uint64(1), w.Generation)
		require.Contains(t, s.pidsStarted(), w.PID)
	}
	require.Equal(t, s.cmd.Process.Pid, st.MasterPID)
	require.WithinDuration(t, time.Now(), st.Started, 10*time.Second)
}

// The heart of it: connections that are kept alive land on as many workers as there can be.
func TestConnectionsSpread(t *testing.T) {
	t.Parallel()
	for start := range often(4, 10) {
		t.Run(strconv.Itoa(start), func(t *testing.T) {
			t.Parallel()
			s := startServer(t, Config{Workers: 5, Counters: 1, Gauges: 1})
			for _, n := range []int{5, 2} {
				var all []talk
				if start%2 == 0 {
					all = s.talks(n)
				} else {
					all = s.spread(n, func() []talk { return s.talksAtOnce(n) })
				}
				for _, c := range all {
					require.NoError(t, c.Close())
				}
				s.waitNoConnections()
			}
		})
	}
}

// talksAtOnce opens n connections at the same time.
func (s *server) talksAtOnce(n int) []talk {
	s.t.Helper()
	all, errs := make([]talk, n), make([]error, n)
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() { all[i], errs[i] = s.talk() })
	}
	group.Wait()
	require.NoError(s.t, errors.Join(errs...))
	return all
}

// A worker that hangs without being dead must not hold up the connections that would be its own.
func TestStuckWorkerIsPassedOver(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1})
	pid := s.shared().Status.Workers[0].PID // has the turn when nobody has connections
	freeze(t, pid)
	// Patience is lost once, not for each connection.
	prompt := 0
	for range 20 {
		start := time.Now()
		require.NotEqual(t, strconv.Itoa(pid), s.get("/pid"))
		if time.Since(start) < patience {
			prompt++
		}
	}
	require.Greater(t, prompt, 10)
	require.NoError(t, syscall.Kill(pid, unix.SIGCONT))
	eventually(t, "it takes part again", func() bool { return s.get("/pid") == strconv.Itoa(pid) })
}

func TestKilledWorkerIsReplaced(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1})
	s.get("/use?d=40ms")
	for range 5 {
		s.get("/count")
	}
	before := s.shared()
	require.Equal(t, uint64(5), before.Counter)
	require.Equal(t, uint64(5), before.Gauge)
	require.GreaterOrEqual(t, before.CPU, 40*time.Millisecond)
	old := map[int]bool{}
	for _, w := range before.Status.Workers {
		old[w.PID] = true
		require.NoError(t, syscall.Kill(w.PID, unix.SIGKILL))
	}
	cpu := before.CPU
	eventually(t, "both are replaced", func() bool {
		sh := s.shared()
		require.GreaterOrEqual(t, sh.CPU, cpu)
		cpu = sh.CPU
		for _, w := range sh.Status.Workers {
			if old[w.PID] || w.State != "ready" {
				return false
			}
		}
		return len(sh.Status.Workers) == 2
	})
	after := s.shared()
	require.Equal(t, uint64(5), after.Counter)
	require.Equal(t, uint64(0), after.Gauge)
	require.Equal(t, uint64(2), after.Status.Restarts)
	require.Greater(t, after.requests(), before.requests(), "counted on by the successors")
	// The dead workers' time is still in it when the new ones' is added.
	s.get("/use?d=40ms")
	require.GreaterOrEqual(t, s.shared().CPU, before.CPU+40*time.Millisecond)
	s.waitLog("worker died", "signal: killed")
}

// TERM while clients are at it: those that have connected get their answers, nobody is reset. Also
// without workers.
func TestTermUnderLoad(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{0, 2} {
		for run := range often(2, 10) {
			t.Run(fmt.Sprintf("workers=%d/%d", workers, run), func(t *testing.T) {
				t.Parallel()
				s := startServer(t, Config{Workers: workers, Counters: 1, Gauges: 1})
				clients := s.startClients(16, "/sleep?d=2ms", busy)
				slow := s.dial(wire("/sleep?d=700ms"))
				s.signal(unix.SIGTERM)
				res, err := http.ReadResponse(bufio.NewReader(slow), nil)
				require.NoError(t, err, "in flight when the stop began")
				require.Equal(t, http.StatusOK, res.StatusCode)
				require.Equal(t, 0, s.wait())
				clients.group.Wait()
				require.Equal(t, int64(16), clients.refused.Load(), "each client saw the end")
				clients.end()
			})
		}
	}
}

// Who comes while requests are still being finished is refused, and does not wait for an answer
// that nobody sends.
func TestNewClientsAreRefusedDuringTheDrain(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{0, 2} {
		t.Run(fmt.Sprintf("workers=%d", workers), func(t *testing.T) {
			t.Parallel()
			s := startServer(t, Config{Workers: workers, Counters: 1, Gauges: 1})
			path, release := held(t)
			slow := s.dial(wire(path))
			s.get("/pid") // behind it in the queue
			s.signal(unix.SIGTERM)
			s.waitLog("msg=stopping")
			for range 3 {
				_, err := net.DialTimeout("tcp", s.addr, late)
				require.ErrorIs(t, err, unix.ECONNREFUSED)
			}
			release()
			res, err := http.ReadResponse(bufio.NewReader(slow), nil)
			require.NoError(t, err, "in flight")
			require.Equal(t, http.StatusOK, res.StatusCode)
			require.Equal(t, 0, s.wait())
		})
	}
}

// What waits in the queue when the stop begins is answered, and who says nothing does not hold it
// up.
func TestTermAnswersTheQueueAndHangsUpOnSilence(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1})
	var pids []int
	for _, w := range s.shared().Status.Workers {
		pids = append(pids, w.PID)
		freeze(t, w.PID) // so that nobody accepts
	}
	var queued []*net.TCPConn
	for range 10 {
		queued = append(queued, s.dial(wire("/pid")))
	}
	silent := s.dial("")
	s.signal(unix.SIGTERM)
	s.waitLog("msg=stopping")
	start := time.Now()
	for _, pid := range pids {
		require.NoError(t, syscall.Kill(pid, unix.SIGCONT))
	}
	for _, c := range queued {
		// One answer and a proper end, no reset.
		answer, err := io.ReadAll(c)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(answer), "HTTP/1.1 200 OK"), "%q", answer)
	}
	require.Equal(t, 0, s.wait())
	require.Less(t, time.Since(start), 5*time.Second, "as long as net/http alone waits for the silent one")
	_, err := silent.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}

// When everybody stops, nobody leaves the queue to a worker that may never come to it.
func TestTermTakesConnectionsOutOfTurn(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1})
	s.talks(2) // one connection each, so it is the turn of the first again
	pids := s.pidsStarted()
	freeze(t, pids[0])
	freeze(t, pids[1])
	c := s.dial(wire("/pid"))
	s.signal(unix.SIGTERM)
	s.waitLog("msg=stopping")
	require.NoError(t, syscall.Kill(pids[1], unix.SIGCONT))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(pids[1]), string(body))
	require.NoError(t, syscall.Kill(pids[0], unix.SIGCONT))
	require.Equal(t, 0, s.wait())
}

// A worker that has more requests than it has processor for has not read them all when the stop
// begins. net/http throws away what it reads after Shutdown.
func TestTermWithABusyWorker(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1})
	var conns []*net.TCPConn
	for range 30 {
		conns = append(conns, s.dial(wire("/burn?d=40ms")))
	}
	s.signal(unix.SIGTERM)
	for i, c := range conns {
		answer, err := io.ReadAll(c)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(answer), "HTTP/1.1 200 OK"), "%d: %q", i, answer)
	}
	require.Equal(t, 0, s.wait())
}

func TestInterruptIsQuick(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{unix.SIGINT, unix.SIGQUIT} {
		s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1})
		c := s.dial(wire("/stuck"))
		s.waitInFlight(1)
		start := time.Now()
		s.signal(sig)
		require.Equal(t, 0, s.wait())
		require.Less(t, time.Since(start), quick)
		require.NotContains(t, s.text(), "killing worker")
		_, err := c.Read(make([]byte, 1))
		require.Error(t, err)
	}
}

func TestSecondInterruptEndsGracefulStop(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1})
	s.dial(wire("/stuck"))
	s.waitInFlight(1)
	s.signal(unix.SIGTERM)
	s.waitLog("msg=stopping", "graceful=true")
	start := time.Now()
	s.signal(unix.SIGINT)
	require.Equal(t, 0, s.wait())
	require.Less(t, time.Since(start), quick)
	require.NotContains(t, s.text(), "killing worker")
}

// A second SIGTERM is a wish of its own, unless it comes at the same time as the first.
func TestSecondTerm(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{0, 1} {
		t.Run(fmt.Sprintf("workers=%d", workers), func(t *testing.T) {
			t.Parallel()
			s := startServer(t, Config{Workers: workers, Counters: 1, Gauges: 1})
			slow := s.dial(wire("/sleep?d=700ms"))
			stuck := s.dial(wire("/stuck"))
			s.get("/pid") // behind them in the queue
			s.signal(unix.SIGTERM)
			s.waitLog("msg=stopping", "graceful=true")
			s.signal(unix.SIGTERM)
			res, err := http.ReadResponse(bufio.NewReader(slow), nil)
			require.NoError(t, err, "the signal twice at once is one stop")
			require.Equal(t, http.StatusOK, res.StatusCode)
			time.Sleep(insistence)
			start := time.Now()
			s.signal(unix.SIGTERM)
			require.Equal(t, 0, s.wait())
			require.Less(t, time.Since(start), quick)
			require.NotContains(t, s.text(), "killing worker")
			_, err = stuck.Read(make([]byte, 1))
			require.Error(t, err)
		})
	}
}

// Ctrl-C reaches the whole group of the terminal, of which the workers are no part.
func TestInterruptToTheGroup(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe, os.Args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s := startCommand(t, cmd, configText(t, Config{Workers: 2, Counters: 1, Gauges: 1})).listening()
	s.dial(wire("/stuck"))
	s.waitInFlight(1)
	start := time.Now()
	require.NoError(t, syscall.Kill(-cmd.Process.Pid, unix.SIGINT))
	require.Equal(t, 0, s.wait())
	require.Less(t, time.Since(start), quick)
	require.NotContains(t, s.text(), "worker died")
	require.NotContains(t, s.text(), "killing worker")
}

// A connection that waits for its next request is closed, whatever the stop, and never reset.
func TestIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{0, 1} {
		for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGQUIT} {
			t.Run(fmt.Sprintf("workers=%d/%s", workers, sig), func(t *testing.T) {
				t.Parallel()
				s := startServer(t, Config{Workers: workers, Counters: 1, Gauges: 1})
				c := s.dial(wire("/pid"))
				r := bufio.NewReader(c)
				res, err := http.ReadResponse(r, nil)
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, res.Body)
				require.NoError(t, err)
				s.signal(sig)
				_, err = r.ReadByte()
				require.ErrorIs(t, err, io.EOF)
				require.Equal(t, 0, s.wait())
			})
		}
	}
}

func (s *server) waitInFlight(n uint64) {
	s.t.Helper()
	eventually(s.t, "requests in flight", func() bool {
		sum := uint64(0)
		for _, w := range s.shared().Status.Workers {
			sum += w.InFlight
		}
		return sum == n+1 // and the one that asks
	})
}

// A worker cuts off by itself what outlives the grace, and says what that was. Killed, it could
// not.
func TestGraceExceeded(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{0, 1} {
		t.Run(fmt.Sprintf("workers=%d", workers), func(t *testing.T) {
			t.Parallel()
			s := startServer(t, Config{Workers: workers, Counters: 1, Gauges: 1, Grace: 400 * time.Millisecond})
			c := s.dial(wire("/stuck"))
			s.get("/pid") // behind it in the queue
			start := time.Now()
			s.signal(unix.SIGTERM)
			require.Equal(t, 0, s.wait())
			require.GreaterOrEqual(t, time.Since(start), 400*time.Millisecond)
			require.Less(t, time.Since(start), quick)
			s.waitLog("1 connections were still busy after the grace of 400ms")
			if workers > 0 {
				s.waitLog("worker left", "level=WARN", "exit status 1")
			}
			require.NotContains(t, s.text(), "killing worker")
			_, err := c.Read(make([]byte, 1))
			require.Error(t, err)
		})
	}
}

// Without any grace a stop is a quick one, and not a kill: the program still comes to its end.
func TestNoGrace(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{0, 1} {
		t.Run(fmt.Sprintf("workers=%d", workers), func(t *testing.T) {
			t.Parallel()
			s := startServer(t, Config{Workers: workers, Counters: 1, Gauges: 1, Grace: -1})
			s.dial(wire("/sleep?d=1m"))
			start := time.Now()
			s.signal(unix.SIGTERM)
			require.Equal(t, 0, s.wait())
			require.Less(t, time.Since(start), quick)
			require.NotContains(t, s.text(), "killing worker")
			require.NotContains(t, s.text(), "signal: killed")
		})
	}
}

// A worker that does not even end after its grace is killed.
func TestFrozenWorkerIsKilledAfterTheGrace(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1, Grace: 300 * time.Millisecond})
	freeze(t, s.pidsStarted()[0])
	start := time.Now()
	s.signal(unix.SIGTERM)
	require.Equal(t, 0, s.wait())
	require.GreaterOrEqual(t, time.Since(start), 300*time.Millisecond+overtime)
	s.waitLog("killing worker", "did not leave in time")
}

// A connection that a handler took over is not waited for.
func TestTermWithHijackedConnection(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1})
	c := s.dial(wire("/hijack"))
	_, err := c.Read(make([]byte, 1))
	require.NoError(t, err)
	start := time.Now()
	s.signal(unix.SIGTERM)
	require.Equal(t, 0, s.wait())
	require.Less(t, time.Since(start), quick)
}

func TestBootFailure(t *testing.T) {
	t.Parallel()
	start := time.Now()
	s := startMaster(t, Config{Workers: 1}, trickEnv+"=boot-exit")
	require.Equal(t, exitBoot, s.wait())
	require.Contains(t, s.waitLog("run returned"), "3 times in a row")
	require.Contains(t, s.waitLog("run returned"), "exit status 7")
	s.waitLog("no database to be had")
	require.Less(t, time.Since(start), defaultBootTimeout)
	require.NotContains(t, s.text(), "listening on")
}

// What a program cannot do without, it reads before it is master or worker: what is missing is one
// line, and no worker is started.
func TestUnreadableCertificate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "missing.pem")
	s := startMaster(t, Config{Workers: 2}, tlsEnv+"="+path)
	require.Equal(t, exitFailed, s.wait())
	eventually(t, "all is read", func() bool { return strings.HasSuffix(s.text(), "\n") })
	require.Equal(t, "certificate: open "+path+": no such file or directory\n", s.text())
}

// shortBoot is long enough for a worker to come as far as it hangs, on a machine that does much
// else.
const shortBoot = (3 + slowness) * time.Second / 2

func TestBootTimeout(t *testing.T) {
	t.Parallel()
	s := startMaster(t, Config{Workers: 1, BootTimeout: shortBoot}, trickEnv+"=boot-hang")
	require.Equal(t, exitBoot, s.wait())
	require.Contains(t, s.waitLog("run returned"), "not ready after "+shortBoot.String())
	s.waitLog("aborting worker", `kind="start timeout"`)
	s.waitLog("workerMain") // in the dump of goroutines
}

// Once all have served, a worker that does not come up is tried again and again.
func TestBootFailureLater(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "broken")
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1}, trickEnv+"="+broken)
	require.NoError(t, os.WriteFile(broken, nil, 0o600))
	require.NoError(t, syscall.Kill(s.shared().Status.Workers[0].PID, unix.SIGKILL))
	s.waitLog("will be started again", "failures=4")
	require.NotEmpty(t, s.get("/pid"), "the other one serves")
	require.NoError(t, os.Remove(broken))
	eventually(t, "it comes up", func() bool {
		for _, w := range s.shared().Status.Workers {
			if w.State != "ready" {
				return false
			}
		}
		return true
	})
}

// A master that adopts orphans waits for them, and still knows how its workers ended, who die among
// them.
func TestOrphansAreReaped(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1}, subreaperEnv+"=1")
	var orphans []int
	for round := range 3 {
		for range 5 {
			pid, err := strconv.Atoi(strings.TrimSpace(s.get("/orphan")))
			require.NoError(t, err)
			orphans = append(orphans, pid)
		}
		victim := s.shared().Status.Workers[0].PID
		require.NoError(t, syscall.Kill(victim, unix.SIGKILL))
		s.waitLog("worker died", fmt.Sprintf("pid=%d ", victim), `status="signal: killed"`)
		eventually(t, "it is replaced", func() bool {
			status := s.shared().Status
			return status.Restarts == uint64(round+1) && len(status.Workers) == 2 && status.Workers[0].State == "ready"
		})
	}
	for _, pid := range orphans {
		eventually(t, "it is reaped", func() bool { return processState(pid) == "" })
	}
	s.signal(unix.SIGTERM)
	require.Equal(t, 0, s.wait())
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	err = Run(t.Context(), Config{Addr: l.Addr().String(), Workers: 2})
	require.ErrorIs(t, err, unix.EADDRINUSE)
	require.ErrorContains(t, err, l.Addr().String())
	require.ErrorContains(t, err, "stop the process that listens there, or choose another port")
}

func TestMasterKilled(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1})
	path, release := held(t)
	c := s.dial(wire(path))
	s.waitInFlight(1)
	pids := s.pidsStarted()
	s.signal(unix.SIGKILL)
	release()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err, "in flight")
	require.Equal(t, http.StatusOK, res.StatusCode)
	eventually(t, "workers leave", func() bool { return !alive(pids[0]) && !alive(pids[1]) })
	_, err = net.Dial("tcp", s.addr)
	require.ErrorIs(t, err, unix.ECONNREFUSED)
}

// A worker that never comes to serve does not read its orders. It ends with its master all the
// same.
func TestMasterKilledWhileAWorkerStarts(t *testing.T) {
	t.Parallel()
	s := startMaster(t, Config{Workers: 2, BootTimeout: time.Hour}, trickEnv+"=boot-hang")
	eventually(t, "workers hang", func() bool { return strings.Count(s.text(), "hanging") == 2 })
	s.signal(unix.SIGKILL)
	for _, pid := range s.pidsStarted() {
		eventually(t, "it leaves", func() bool { return !alive(pid) })
		s.waitLog(fmt.Sprintf("worker %d: the master is gone before it served", pid))
	}
}

// Neither does a stop wait for it until it is killed.
func TestTermWhileAWorkerStarts(t *testing.T) {
	t.Parallel()
	s := startMaster(t, Config{Workers: 2, BootTimeout: time.Hour}, trickEnv+"=boot-hang")
	eventually(t, "workers hang", func() bool { return strings.Count(s.text(), "hanging") == 2 })
	start := time.Now()
	s.signal(unix.SIGTERM)
	require.Equal(t, 0, s.wait())
	require.Less(t, time.Since(start), quick)
	require.NotContains(t, s.text(), "killing worker")
}

// A handler that never ends keeps no worker alive that has lost its master.
func TestMasterKilledUnderAStuckRequest(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1, Grace: 300 * time.Millisecond})
	s.dial(wire("/stuck"))
	s.waitInFlight(1)
	start := time.Now()
	s.signal(unix.SIGKILL)
	eventually(t, "it leaves", func() bool { return !alive(s.pidsStarted()[0]) })
	require.Less(t, time.Since(start), quick)
	_, err := net.Dial("tcp", s.addr)
	require.ErrorIs(t, err, unix.ECONNREFUSED)
}

// No signal of the table has the effect on a process without workers that it would have by default.
func TestSignalsToAProcessAlone(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 0})
	for _, sig := range []syscall.Signal{unix.SIGHUP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGUSR1, unix.SIGUSR2} {
		s.signal(sig)
		s.waitLog("signal ignored", sig.String())
	}
	require.NotEmpty(t, s.get("/pid"))
	s.signal(unix.SIGTERM)
	require.Equal(t, 0, s.wait())
}

func TestTimeoutReplacesStuckWorker(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1, Timeout: slowness * 300 * time.Millisecond})
	pid := s.get("/pid")
	start := time.Now()
	s.dial(wire("/stuck"))
	s.waitLog("aborting worker", "kind=stuck", "a request runs for")
	require.GreaterOrEqual(t, time.Since(start), slowness*300*time.Millisecond)
	s.waitLog("stuckHandler") // the dump shows where
	require.NotEqual(t, pid, s.get("/pid"))
	require.Equal(t, uint64(1), s.shared().Status.Restarts)
}

// A worker that even SIGABRT does not end is killed.
func TestTimeoutKillsADeafWorker(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1, Timeout: slowness * 500 * time.Millisecond},
		trickEnv+"=deaf")
	s.dial(wire("/stuck"))
	s.waitLog("killing worker", "SIGABRT did not end it")
	s.waitLog("worker died", "signal: killed", "stuck: ")
	require.NotEmpty(t, s.get("/pid"))
}

// A process that does not run is found although it has no request that could become too old, and
// writes its dump.
func TestFrozenWorkerIsReplaced(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1, Timeout: time.Second})
	start := time.Now()
	freeze(t, s.pidsStarted()[0])
	s.waitLog("aborting worker", "kind=frozen", "no sign of life for", fmt.Sprintf("pid=%d", s.pidsStarted()[0]))
	require.GreaterOrEqual(t, time.Since(start), leastSilence/2) // less what it had been silent for before
	s.waitLog("SIGABRT: abort")
	eventually(t, "replaced", func() bool {
		workers := s.shared().Status.Workers
		return len(workers) == 2 && workers[0].State == "ready" &&
			strings.Contains(workers[0].LastEnd, "frozen: no sign of life")
	})
	require.Len(t, s.pidsStarted(), 3, "its neighbour was left alone")
}

// A master that did not run itself knows nothing of the workers' silence.
func TestFrozenMasterBlamesNobody(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1, Timeout: time.Second})
	// First the workers, last the master, and back in the opposite order: to it they seem silent
	// for all that time.
	for _, pid := range append(s.pidsStarted(), s.cmd.Process.Pid) {
		freeze(t, pid)
	}
	time.Sleep(leastSilence + beatEvery)
	require.NoError(t, syscall.Kill(s.cmd.Process.Pid, unix.SIGCONT))
	time.Sleep(100 * time.Millisecond) // it looks at silent workers
	for _, pid := range s.pidsStarted() {
		require.NoError(t, syscall.Kill(pid, unix.SIGCONT))
	}
	time.Sleep(2 * beatEvery)
	require.NotContains(t, s.text(), "aborting worker")
	require.Len(t, s.pidsStarted(), 2)
}

// Each worker that is replaced leaves when another one serves in its place, and none of the
// requests is lost.
func TestRecyclingUnderLoad(t *testing.T) {
	t.Parallel()
	const workers = 2
	most := often(100, 500)
	s := startServer(t, Config{Workers: workers, Counters: 1, Gauges: 1, MaxRequests: most, MaxRequestsJitter: most / 5})
	clients := s.startClients(8, "/count", thinking)
	ready := s.watchReady()
	replaced := func() int { return strings.Count(s.text(), `msg="worker leaves"`) }
	eventually(t, "workers are replaced", func() bool { return replaced() >= often(6, 60) })
	require.GreaterOrEqual(t, ready(), workers)
	clients.end()
	require.GreaterOrEqual(t, clients.answers.Load(), int64(most*(replaced()-workers)), "none leaves early")
	require.Equal(t, uint64(clients.answers.Load()), s.shared().Counter)
	require.Zero(t, s.shared().Status.Restarts)
	require.NotContains(t, s.text(), "worker died")
	extra := 0 // workers that are ready beyond those wanted
	for line := range strings.Lines(s.text()) {
		switch {
		case strings.Contains(line, `msg="worker ready"`):
			extra++
		case strings.Contains(line, `msg="worker leaves"`):
			extra--
			require.GreaterOrEqual(t, extra, workers, "one after the other")
		}
	}
}

// An operator's SIGTERM to one worker, and signals that are none of a worker's business.
func TestSignalsToAWorker(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1})
	pid := s.pidsStarted()[0]
	for _, sig := range []syscall.Signal{unix.SIGINT, unix.SIGQUIT, unix.SIGHUP, unix.SIGTTIN, unix.SIGTTOU,
		unix.SIGUSR1, unix.SIGUSR2} {
		require.NoError(t, syscall.Kill(pid, sig))
	}
	require.Equal(t, strconv.Itoa(pid), s.get("/pid"))
	path, release := held(t)
	c := s.dial(wire(path))
	s.waitInFlight(1)
	require.NoError(t, syscall.Kill(pid, unix.SIGTERM))
	s.waitLog("worker leaves", fmt.Sprintf("pid=%d", pid))
	release()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(pid), string(body))
	s.waitLog("worker left", "exit status 0", fmt.Sprintf("pid=%d", pid))
	require.NotEqual(t, strconv.Itoa(pid), s.get("/pid"))
	require.Equal(t, uint64(0), s.shared().Status.Restarts)
}

func TestCanceledContextIsGraceful(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready := make(chan net.Addr, 1)
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, Config{Addr: "127.0.0.1:0", Workers: 2, Gauges: 1, Counters: 1,
			Ready: func(a net.Addr) { ready <- a }})
	}()
	s := server{t: t, addr: (<-ready).String()}
	path, release := held(t)
	answer := make(chan error, 1)
	go func() {
		_, err := fetch(http.DefaultClient, s.url(path))
		answer <- err
	}()
	s.waitInFlight(1)
	cancel()
	release()
	require.NoError(t, <-answer)
	require.NoError(t, <-done)
}

// A stop at any moment of the start.
func TestCanceledDuringStart(t *testing.T) {
	t.Parallel()
	tries := often(4, 20)
	for n := range tries {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*10*time.Millisecond/time.Duration(tries))
		require.NoError(t, Run(ctx, Config{Addr: "127.0.0.1:0", Workers: 2}))
		cancel()
	}
}

// A worker that has run out of descriptors goes on when there are some again, and loses nobody
// meanwhile.
func TestOutOfDescriptors(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1}, trickEnv+"=few-files")
	var conns []*net.TCPConn
	for range 40 {
		conns = append(conns, s.dial(wire("/pid")))
	}
	s.waitLog("Accept error")
	for _, c := range conns {
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, res.StatusCode)
		c.Close()
	}
	require.Len(t, s.pidsStarted(), 1)
}

// The flag is of the socket, not of a process's descriptor: cleared once, it is cleared for all
// workers.
func TestSocketStaysNonBlocking(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1})
	check := func() {
		pid := s.get("/pid")
		text, err := os.ReadFile("/proc/" + pid + "/fdinfo/" + strconv.Itoa(fdSocket))
		require.NoError(t, err)
		_, rest, ok := strings.Cut(string(text), "flags:")
		require.True(t, ok)
		flags, err := strconv.ParseInt(strings.Fields(rest)[0], 8, 64)
		require.NoError(t, err)
		require.NotZero(t, flags&unix.O_NONBLOCK, "flags %o", flags)
		require.NotZero(t, flags&unix.O_CLOEXEC)
	}
	check()
	require.NoError(t, syscall.Kill(s.pidsStarted()[0], unix.SIGKILL))
	eventually(t, "replaced", func() bool { return strings.Count(s.text(), `msg="worker ready"`) == 3 })
	check()
}

// Requests that end in a panic are counted out like all others.
func TestPanicsAreAccounted(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1})
	for range 3 {
		_, err := fetch(s.client(), s.url("/panic"))
		require.Error(t, err)
	}
	eventually(t, "all is counted out", func() bool {
		w := s.shared().Status.Workers[0]
		return w.InFlight == 1 && w.Requests >= 3 && w.Connections == 1
	})
}

func TestWhatAWorkerInherits(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1}, "GOMAXPROCS=3")
	pid := s.pidsStarted()[0]
	require.Equal(t, fmt.Sprintf("%q %s %v", "", "3", os.Args), s.get("/env"))
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	require.NoError(t, err)
	name := filepath.Base(os.Args[0])
	require.Equal(t, name[:min(15, len(name))]+"\n", string(comm))
	require.Equal(t, pid, getpgid(t, pid), "a process group of its own")
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	require.NoError(t, err)
	exe, err := os.Executable()
	require.NoError(t, err)
	require.Equal(t, exe, program)
}

func getpgid(t *testing.T, pid int) int {
	t.Helper()
	group, err := syscall.Getpgid(pid)
	require.NoError(t, err)
	return group
}

func TestWorkerEnviron(t *testing.T) {
	t.Setenv("GOMAXPROCS", "2")
	require.Equal(t, []string{"A=1", workerEnv + "=3"}, workerEnviron([]string{"A=1"}, 3, ""))
	os.Setenv("GOMAXPROCS", "")
	require.Equal(t, []string{"GOMAXPROCS=1", logEnv + "=/log", workerEnv + "=0"}, workerEnviron(nil, 0, "/log"))
	require.Equal(t, []string{"A=1", "GOMAXPROCS=1", workerEnv + "=3"}, workerEnviron([]string{"A=1"}, 3, ""))
}

func TestRunRefuses(t *testing.T) {
	for name, cfg := range map[string]Config{
		"Workers":     {},
		"Timeout":     {Workers: 1, Timeout: -1},
		"MaxRequests": {Workers: 1, MaxRequests: -1},
	} {
		require.ErrorContains(t, Run(t.Context(), cfg), "Config."+name)
	}
	t.Setenv(workerEnv, "1")
	require.ErrorContains(t, Run(t.Context(), Config{Addr: "127.0.0.1:0", Workers: 1}), "call Attach first")
}

func TestBootErrorText(t *testing.T) {
	cause := errors.New("cause")
	e := &BootError{Attempts: 3, PID: 7, Reason: "exit status 1", Err: cause}
	require.ErrorIs(t, e, cause)
	require.Equal(t, "prefork: no worker became ready, 3 times in a row; the last one (pid 7): exit status 1; "+
		"what it wrote to stderr says why", e.Error())
	e.PID = 0
	require.Equal(t, "prefork: no worker could be started, 3 times in a row: exit status 1", e.Error())
}
