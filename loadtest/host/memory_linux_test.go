package host

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/internal/race"
)

func TestParseSetSize(t *testing.T) {
	const rollup = "55d0-7ffd ---p 00000000 00:00 0    [rollup]\nRss:  4000 kB\nPss:  1234 kB\nPss_Anon: 900 kB\n" +
		"Shared_Clean: 1 kB\nSwap: 7 kB\nSwapPss:  6 kB\nLocked: 0 kB\n"
	size, err := parseSetSize([]byte(rollup))
	require.NoError(t, err)
	require.EqualValues(t, 1240<<10, size)
	for text, want := range map[string]string{
		"": "no memory", "\n": "no memory", "Rss: 5 kB\n": "has no Pss", "Pss: x kB\n": "want a number of kB",
		"Pss: 5 MB\n": "want a number of kB", "Pss: -5 kB\n": "want a number of kB", "SwapPss: 5 kB\n": "has no Pss",
	} {
		_, err := parseSetSize([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
}

// memoryEnv makes this test binary a server that holds so much more when it is asked.
const memoryEnv = "RAMPART_TEST_MEMORY"

func init() {
	address := os.Getenv(memoryEnv)
	if address == "" {
		return
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		os.Exit(1)
	}
	var held [][]byte
	for {
		conn, err := l.Accept()
		if err != nil {
			os.Exit(1)
		}
		more := make([]byte, 8<<20)
		for i := range more {
			more[i] = 1
		}
		held = append(held, more)
		_, _ = conn.Write([]byte{byte(len(held))})
		conn.Close()
	}
}

// TestServerMemory has a server behind a shell, which is not counted.
func TestServerMemory(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	cmd := exec.Command("sh", "-c", os.Args[0]+"; :")
	cmd.Env = append(os.Environ(), memoryEnv+"="+address)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer func() {
		stdin.Close()
		all, err := processes()
		require.NoError(t, err)
		for _, p := range tree(all, []int{cmd.Process.Pid}) {
			p.kill()
		}
		_ = cmd.Wait()
	}()
	ask := func() {
		require.Eventually(t, func() bool {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				return false
			}
			defer conn.Close()
			n, _ := conn.Read(make([]byte, 1))
			return n == 1
		}, 20*time.Second, 10*time.Millisecond)
	}
	ask()
	gauge := ServerMemory(address, Launch{PID: cmd.Process.Pid})
	before, err := gauge()
	if rollup, _ := os.ReadFile("/proc/self/smaps_rollup"); !strings.Contains(string(rollup), "\nPss:") {
		t.Skip("SKIPPED: this kernel does not tell proportional set sizes")
	}
	require.NoError(t, err)
	require.Greater(t, before, int64(8<<20))
	ask()
	ask()
	after, err := gauge()
	require.NoError(t, err)
	if race.Slowness > 1 { // the detector keeps notes on each byte
		require.Greater(t, after-before, int64(14<<20))
	} else {
		require.InDelta(t, 16<<20, after-before, 2<<20)
	}

	_, err = ServerMemory("127.0.0.1:1", Launch{})()
	require.ErrorIs(t, err, errNobody)
}
