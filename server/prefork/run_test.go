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
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
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
	for start := range 10 {
		t.Run(strconv.Itoa(start), func(t *testing.T) {
			s := startServer(t, Config{Workers: 5, Counters: 1, Gauges: 1})
			for _, n := range []int{5, 2} {
				pids := make(chan string, n)
				var group sync.WaitGroup
				clients := make([]*http.Client, n)
				for i := range clients {
					clients[i] = s.client()
					connect := func() {
						body, err := fetch(clients[i], s.url("/pid"))
						if err != nil {
							body = err.Error()
						}
						pids <- body
					}
					if start%2 == 0 {
						group.Go(connect) // all at the same time
					} else {
						connect() // one after the other
					}
				}
				group.Wait()
				close(pids)
				seen := map[string]int{}
				for pid := range pids {
					seen[pid]++
				}
				require.Len(t, seen, n, "%v", seen)
				for _, c := range clients {
					c.CloseIdleConnections()
				}
				// The workers notice the end of the connections in their own time.
				eventually(t, "connections closed", func() bool {
					open := uint64(0)
					for _, w := range s.shared().Status.Workers {
						open += w.Connections
					}
					return open == 1 // the one that asked
				})
			}
		})
	}
}

// A worker that hangs without being dead must not hold up the connections that would be its own.
func TestStuckWorkerIsPassedOver(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1})
	pid := s.shared().Status.Workers[0].PID // has the turn when nobody has connections
	freeze(t, pid)
	start := time.Now()
	for range 20 {
		require.NotEqual(t, strconv.Itoa(pid), s.get("/pid"))
	}
	// Patience is lost once, not for each connection.
	require.Less(t, time.Since(start), 10*patience)
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

// TERM while clients are at it: those that have connected get their answers, nobody is reset.
func TestTermUnderLoad(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1})
	var answers, refused atomic.Int64
	failures := make(chan error, 100)
	stop := make(chan struct{})
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			// A client that keeps its connection until it is told that it ends, and never repeats a request.
			for {
				select {
				case <-stop:
					return
				default:
				}
				d := net.Dialer{Timeout: 500 * time.Millisecond}
				c, err := d.Dial("tcp", s.addr)
				if err != nil {
					refused.Add(1) // an open one is answered, a new one may be refused
					return
				}
				r := bufio.NewReader(c)
				for keep := true; keep; {
					io.WriteString(c, wire(fmt.Sprintf("/sleep?d=%dms", n)))
					res, err := http.ReadResponse(r, nil)
					if err != nil {
						failures <- err
						break
					}
					_, err = io.Copy(io.Discard, res.Body)
					if err != nil {
						failures <- err
						break
					}
					answers.Add(1)
					keep = !res.Close && n%2 == 0 // half of them connect anew each time
				}
				c.Close()
			}
		})
	}
	slow := s.dial(wire("/sleep?d=700ms"))
	eventually(t, "load", func() bool { return answers.Load() > 200 })
	s.signal(unix.SIGTERM)
	res, err := http.ReadResponse(bufio.NewReader(slow), nil)
	require.NoError(t, err, "in flight when the stop began")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, 0, s.wait())
	close(stop)
	group.Wait()
	close(failures)
	for err := range failures {
		require.NoError(t, err)
	}
	require.Equal(t, int64(8), refused.Load(), "each client saw the end")
}

// What waits in the queue when the stop begins is answered, and who says nothing does not hold it up.
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
	require.Less(t, time.Since(start), 3*time.Second, "net/http alone waits 5 s for the silent one")
	_, err := silent.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}

// When everybody stops, nobody leaves the queue to a worker that may never come to it.
func TestTermTakesConnectionsOutOfTurn(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1})
	var pids [2]int
	for i := range pids { // one connection each, so it is the turn of the first again
		c := s.client()
		defer c.CloseIdleConnections()
		pid, err := strconv.Atoi(get(t, c, s.url("/pid")))
		require.NoError(t, err)
		pids[i] = pid
	}
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

// A worker that has more requests than it has processor for has not read them all when the stop begins.
// net/http throws away what it reads after Shutdown.
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
		s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1})
		c := s.dial(wire("/stuck"))
		s.waitInFlight(1)
		start := time.Now()
		s.signal(sig)
		require.Equal(t, 0, s.wait())
		require.Less(t, time.Since(start), forced)
		_, err := c.Read(make([]byte, 1))
		require.Error(t, err)
	}
}

func TestSecondInterruptEndsGracefulStop(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1})
	s.dial(wire("/stuck"))
	s.waitInFlight(1)
	s.signal(unix.SIGTERM)
	s.waitLog("msg=stopping", "graceful=true")
	start := time.Now()
	s.signal(unix.SIGINT)
	require.Equal(t, 0, s.wait())
	require.Less(t, time.Since(start), forced)
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

func TestGraceExceeded(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1, Grace: 400 * time.Millisecond})
	s.dial(wire("/stuck"))
	s.waitInFlight(1)
	start := time.Now()
	s.signal(unix.SIGTERM)
	require.Equal(t, 0, s.wait())
	require.GreaterOrEqual(t, time.Since(start), 400*time.Millisecond)
	require.Less(t, time.Since(start), 3*time.Second)
	s.waitLog("worker left", "level=WARN")
}

func TestNoGrace(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1, Grace: -1})
	s.dial(wire("/stuck"))
	s.waitInFlight(1)
	start := time.Now()
	s.signal(unix.SIGTERM)
	require.Equal(t, 0, s.wait())
	require.Less(t, time.Since(start), forced)
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
	require.Less(t, time.Since(start), 3*time.Second)
}

func TestBootFailure(t *testing.T) {
	t.Parallel()
	s := startMaster(t, Config{Workers: 2}, trickEnv+"=boot-exit")
	require.Equal(t, exitBoot, s.wait())
	require.Contains(t, s.waitLog("run returned"), "3 times in a row")
	require.Contains(t, s.waitLog("run returned"), "exit status 7")
	require.NotContains(t, s.text(), "listening on")
}

func TestBootTimeout(t *testing.T) {
	t.Parallel()
	// Long enough for a worker to come as far as it hangs, on a machine that does much else.
	s := startMaster(t, Config{Workers: 1, BootTimeout: 2 * time.Second}, trickEnv+"=boot-hang")
	require.Equal(t, exitBoot, s.wait())
	require.Contains(t, s.waitLog("run returned"), "not ready after 2s")
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

// A master that adopts orphans waits for them, and still knows how its workers ended, who die among them.
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
	c := s.dial(wire("/sleep?d=500ms"))
	s.waitInFlight(1)
	pids := s.pidsStarted()
	s.signal(unix.SIGKILL)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err, "in flight")
	require.Equal(t, http.StatusOK, res.StatusCode)
	eventually(t, "workers leave", func() bool { return !alive(pids[0]) && !alive(pids[1]) })
	_, err = net.Dial("tcp", s.addr)
	require.ErrorIs(t, err, unix.ECONNREFUSED)
}

func TestTimeoutReplacesStuckWorker(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1, Timeout: 300 * time.Millisecond})
	pid := s.get("/pid")
	start := time.Now()
	s.dial(wire("/stuck"))
	s.waitLog("aborting worker", "a request runs for")
	require.GreaterOrEqual(t, time.Since(start), 300*time.Millisecond)
	s.waitLog("stuckHandler") // the dump shows where
	require.NotEqual(t, pid, s.get("/pid"))
	require.Equal(t, uint64(1), s.shared().Status.Restarts)
}

// A worker that even SIGABRT does not end is killed.
func TestTimeoutKillsFrozenWorker(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1, Timeout: 200 * time.Millisecond})
	s.dial(wire("/stuck"))
	s.waitInFlight(1)
	freeze(t, s.pidsStarted()[0])
	s.waitLog("killing worker", "SIGABRT did not end it")
	require.NotEmpty(t, s.get("/pid"))
}

func TestMaxRequestsRecyclesWithoutLoss(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1, MaxRequests: 40, MaxRequestsJitter: 20})
	seen := map[string]bool{}
	// A client that keeps its connection for as long as it is not told otherwise and repeats nothing: an
	// http.Transport would repeat a GET on its own.
	for len(seen) < 6 {
		c := s.dial("")
		r := bufio.NewReader(c)
		for closing := false; !closing; {
			_, err := io.WriteString(c, wire("/pid"))
			require.NoError(t, err)
			res, err := http.ReadResponse(r, nil)
			require.NoError(t, err)
			body, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			seen[string(body)] = true
			closing = res.Close
		}
		c.Close()
	}
	require.Equal(t, uint64(0), s.shared().Status.Restarts)
	require.NotContains(t, s.text(), "worker died")
	ready := 0
	for _, w := range s.shared().Status.Workers {
		if w.State == "ready" {
			ready++
		}
	}
	require.GreaterOrEqual(t, ready, 2)
}

// An operator's SIGTERM to one worker, and signals that are none of a worker's business.
func TestSignalsToAWorker(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1})
	pid := s.pidsStarted()[0]
	for _, sig := range []syscall.Signal{unix.SIGINT, unix.SIGQUIT, unix.SIGHUP} {
		require.NoError(t, syscall.Kill(pid, sig))
	}
	require.Equal(t, strconv.Itoa(pid), s.get("/pid"))
	c := s.dial(wire("/sleep?d=300ms"))
	s.waitInFlight(1)
	require.NoError(t, syscall.Kill(pid, unix.SIGTERM))
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
		done <- Run(ctx, Config{Addr: "127.0.0.1:0", Workers: 2, Gauges: 1, Counters: 1, Ready: func(a net.Addr) { ready <- a }})
	}()
	addr := <-ready
	answer := make(chan error, 1)
	go func() {
		_, err := fetch(http.DefaultClient, "http://"+addr.String()+"/sleep?d=300ms")
		answer <- err
	}()
	time.Sleep(100 * time.Millisecond)
	cancel()
	require.NoError(t, <-answer)
	require.NoError(t, <-done)
}

// A stop at any moment of the start.
func TestCanceledDuringStart(t *testing.T) {
	t.Parallel()
	for n := range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*time.Millisecond)
		require.NoError(t, Run(ctx, Config{Addr: "127.0.0.1:0", Workers: 2}))
		cancel()
	}
}

// A worker that has run out of descriptors goes on when there are some again, and loses nobody meanwhile.
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

// The flag is of the socket, not of a process's descriptor: cleared once, it is cleared for all workers.
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
	require.Equal(t, []string{"A=1", workerEnv + "=3"}, workerEnviron([]string{"A=1"}, 3))
	os.Setenv("GOMAXPROCS", "")
	require.Equal(t, []string{"A=1", "GOMAXPROCS=1", workerEnv + "=3"}, workerEnviron([]string{"A=1"}, 3))
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
