//go:build linux

package prefork

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A worker that has nothing to do is missed by nobody, and for less than a second.
func TestIdleWorkerIsKilled(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1})
	both := s.talks(2)
	other, idle := both[0], both[1].pid
	require.NoError(t, both[1].Close())
	require.NoError(t, syscall.Kill(idle, unix.SIGKILL))
	killed, answers := time.Now(), 0
	for strings.Count(s.text(), `msg="worker ready"`) < 3 {
		require.NoError(t, other.ask("/count"))
		_, err := other.answer()
		require.NoError(t, err)
		answers++
	}
	if proof { // on a machine that has nothing else to do
		require.Less(t, time.Since(killed), time.Second)
	}
	s.waitLog("worker died", fmt.Sprintf("pid=%d ", idle), "signal: killed")
	require.Equal(t, uint64(answers), s.shared().Counter)
}

// talk is a connection whose worker is known.
type talk struct {
	*net.TCPConn
	r    *bufio.Reader
	pid  int
	took time.Duration // from dialing to its first answer
}

// talks opens n connections, one after the other, while there are no others. They go to the workers
// in turns.
func (s *server) talks(n int) []talk {
	s.t.Helper()
	return s.spread(n, func() []talk {
		var all []talk
		for range n {
			to, err := s.talk()
			require.NoError(s.t, err)
			all = append(all, to)
		}
		return all
	})
}

func (s *server) talk() (to talk, err error) {
	begun := time.Now()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		return to, err
	}
	s.t.Cleanup(func() { c.Close() })
	to = talk{TCPConn: c.(*net.TCPConn), r: bufio.NewReader(c)}
	if err := errors.Join(c.SetReadDeadline(begun.Add(late)), to.ask("/pid")); err != nil {
		return to, err
	}
	body, err := to.answer()
	if err != nil {
		return to, err
	}
	to.took = time.Since(begun)
	to.pid, err = strconv.Atoi(body)
	return to, err
}

// spread has n connections opened and requires that as many go to each worker. Where one took so
// long that its worker may have been passed over, as on a machine that does much else, it closes
// them and has them opened again.
func (s *server) spread(n int, open func() []talk) []talk {
	s.t.Helper()
	for {
		all := open()
		require.Len(s.t, all, n)
		of, slowest := map[int]int{}, time.Duration(0)
		for _, c := range all {
			of[c.pid]++
			slowest = max(slowest, c.took)
		}
		workers := len(s.shared().Status.Workers)
		even := len(of) == min(n, workers)
		for _, connections := range of {
			even = even && connections <= (n+workers-1)/workers
		}
		if even {
			return all
		}
		require.GreaterOrEqual(s.t, slowest, patience, "connections of each worker: %v", of)
		for _, c := range all {
			require.NoError(s.t, c.Close())
		}
		s.waitNoConnections()
	}
}

// waitNoConnections waits until the workers have noticed the end of the connections, which they do
// in their own time.
func (s *server) waitNoConnections() {
	s.t.Helper()
	eventually(s.t, "connections closed", func() bool {
		open := uint64(0)
		for _, w := range s.shared().Status.Workers {
			open += w.Connections
		}
		return open == 1 // the one that asked
	})
}

func (c talk) ask(path string) error {
	_, err := io.WriteString(c, wire(path))
	return err
}

func (c talk) answer() (string, error) {
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(res.Body)
	return string(body), err
}

// Of a worker that has requests only these are lost: no other worker's, none that waits, none that
// comes.
func TestBusyWorkerIsKilled(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1})
	busy := s.talks(6)
	victim := busy[0].pid
	path, release := held(t)
	for _, c := range busy {
		require.NoError(t, c.ask(path))
	}
	s.waitInFlight(6)
	freeze(t, victim)
	var waiting []*net.TCPConn
	for range 10 {
		waiting = append(waiting, s.dial(wire("/pid")))
	}
	require.NoError(t, syscall.Kill(victim, unix.SIGKILL))
	for range 10 {
		waiting = append(waiting, s.dial(wire("/pid")))
	}
	for i, c := range waiting {
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err, "connection %d", i)
		require.Equal(t, http.StatusOK, res.StatusCode)
	}
	release()
	lost := 0
	for _, c := range busy {
		_, err := c.answer()
		require.Equal(t, c.pid == victim, err != nil, "%v", err)
		if err != nil {
			lost++
		}
	}
	require.Equal(t, 3, lost)
}

// To end without being asked is to die, whatever the exit status.
func TestWorkerThatExitsIsReplaced(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1})
	_, err := fetch(s.client(), s.url("/exit"))
	require.Error(t, err)
	s.waitLog("worker died", "exit status 0")
	require.NotEmpty(t, s.get("/pid"), "its successor serves")
	require.Equal(t, uint64(1), s.shared().Status.Restarts)
}

// A worker that dies again and again is started less and less often, and the other one serves as if
// there were nothing.
func TestWorkerThatDiesForEver(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1}, trickEnv+"=dies")
	begun := time.Now()
	var other talk
	eventually(t, "a connection to the other worker", func() bool {
		c := s.dial(wire("/pid"))
		other = talk{TCPConn: c, r: bufio.NewReader(c)}
		body, err := other.answer() // an error: it died meanwhile
		return err == nil && body == strconv.Itoa(s.pidsStarted()[1])
	})
	served := 0
	for strings.Count(s.text(), "will be started again") < 5 || proof && time.Since(begun) < 30*time.Second {
		require.NoError(t, other.ask("/pid"))
		_, err := other.answer()
		require.NoError(t, err)
		served++
		require.NoError(t, other.SetReadDeadline(time.Now().Add(late)))
		time.Sleep(5 * time.Millisecond)
	}
	require.Greater(t, served, 20)
	row := 0
	for line := range strings.Lines(s.text()) {
		_, rest, ok := strings.Cut(line, `msg="worker will be started again" slot=0 delay=`)
		if !ok {
			continue
		}
		wait, err := time.ParseDuration(strings.Fields(rest)[0])
		require.NoError(t, err)
		row++
		require.GreaterOrEqual(t, wait, delay(row, 1)-time.Millisecond)
		require.LessOrEqual(t, wait, delay(row, 0)+time.Millisecond)
	}
	require.GreaterOrEqual(t, row, 5)
	starts := len(s.pidsStarted()) - 1
	require.LessOrEqual(t, starts, 10)
}

// The same by computation: the tenth start comes within 30 s at the earliest, the eleventh never.
func TestStartsIn30Seconds(t *testing.T) {
	starts, at := 1, time.Duration(0)
	for {
		at += delay(starts, 1)
		if at > 30*time.Second {
			break
		}
		starts++
	}
	require.LessOrEqual(t, starts, 10)
}

// Of a request that takes too long only its own worker is replaced.
func TestStuckRequestHarmsNoNeighbour(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1, Timeout: slowness * 500 * time.Millisecond})
	both := s.talks(2)
	stuck, other := both[0], both[1]
	require.NotEqual(t, stuck.pid, other.pid)
	require.NoError(t, stuck.ask("/stuck"))
	for !strings.Contains(s.text(), `msg="worker died"`) {
		require.NoError(t, other.SetReadDeadline(time.Now().Add(late)))
		require.NoError(t, other.ask("/sleep?d=5ms"))
		body, err := other.answer()
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(other.pid), body)
	}
	s.waitLog("aborting worker", "kind=stuck", fmt.Sprintf("pid=%d ", stuck.pid))
	s.waitLog("stuckHandler")
	require.Equal(t, 1, strings.Count(s.text(), `msg="worker died"`))
	require.Equal(t, 1, strings.Count(s.text(), "aborting worker"))
}

// With ten times as much to do as there are processors for, workers are slow, and none is taken for
// dead. Usually that is one processor, and the other tests have the rest.
func TestOverloadKillsNobody(t *testing.T) {
	var s *server
	overload := func(processors int) {
		s = startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1, Timeout: leastSilence})
		for range 10 * processors {
			burn := exec.Command("sh", "-c", "while :; do :; done")
			require.NoError(t, burn.Start())
			t.Cleanup(func() {
				burn.Process.Kill()
				burn.Wait()
			})
		}
	}
	if proof {
		overload(runtime.NumCPU())
	} else {
		t.Parallel()
		onOneProcessor(t, func() { overload(1) })
	}
	clients := s.startClients(4, "/use?d=1ms", thinking)
	time.Sleep(time.Duration(often(3, 30)) * time.Second)
	clients.end()
	require.Positive(t, clients.answers.Load())
	require.NotContains(t, s.text(), "aborting worker")
	require.Len(t, s.pidsStarted(), 2)
}

// onOneProcessor has start's processes run on one of the processors.
func onOneProcessor(t *testing.T, start func()) {
	t.Helper()
	runtime.LockOSThread() // from which processes have the processors on which they may run
	defer runtime.UnlockOSThread()
	var usual, one unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &usual))
	for cpu := 0; one.Count() == 0; cpu++ {
		if usual.IsSet(cpu) {
			one.Set(cpu)
		}
	}
	require.NoError(t, unix.SchedSetaffinity(0, &one))
	defer func() { require.NoError(t, unix.SchedSetaffinity(0, &usual)) }()
	start()
}
