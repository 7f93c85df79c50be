//go:build !load

package loadtest

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestParseStat(t *testing.T) {
	p, err := parseStat([]byte("4242 (a ) b (c) S 17 4242 17 0 -1 4194560 100 200 0 0 11 22 33 44 20 0 1 0 55 66 77\n"))
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(process{pid: 4242, parent: 17, name: "a ) b (c", reaped: 770 * time.Millisecond}, p,
		cmp.AllowUnexported(process{})))
	for _, line := range []string{"", "1", "1 (a", "1 (a) S 1", "x (a) S 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"} {
		_, err := parseStat([]byte(line))
		require.Error(t, err, line)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("1 (init) S 0 1 1 0 -1 4194560 100 200 0 0 11 22 33 44 20 0 1 0 55 66 77"))
	f.Add([]byte(") ("))
	f.Fuzz(func(t *testing.T, line []byte) { _, _ = parseStat(line) })
}

func TestTree(t *testing.T) {
	all := []process{{pid: 1}, {pid: 2, parent: 1}, {pid: 3, parent: 2}, {pid: 4, parent: 3}, {pid: 5, parent: 1}}
	pids := func(roots ...int) []int {
		var got []int
		for _, p := range tree(all, roots) {
			got = append(got, p.pid)
		}
		return got
	}
	require.Equal(t, []int{2, 3, 4}, pids(2))
	require.Equal(t, []int{2, 3, 4}, pids(2, 3), "a root below another root counts once")
	require.Equal(t, []int{4, 5}, pids(5, 4))
	require.Empty(t, pids(9))
}

func TestParseKernelAddr(t *testing.T) {
	for in, want := range map[string]string{
		"0100007F:1F90":                         "127.0.0.1:8080",
		"00000000:0050":                         "0.0.0.0:80",
		"00000000000000000000000001000000:1F90": "[::1]:8080",
		"0000000000000000FFFF00000100007F:1F90": "127.0.0.1:8080",
	} {
		got, ok := parseKernelAddr(in)
		require.True(t, ok)
		require.Equal(t, netip.MustParseAddrPort(want), got)
	}
	for _, in := range []string{"", "0100007F", "01:50", "0100007F:xyz", "0100007F:12345"} {
		_, ok := parseKernelAddr(in)
		require.False(t, ok, in)
	}
}

// TestListenerCPU finds this process by the address on which it listens, and meters what it burns.
func TestListenerCPU(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	meter := listenerCPU(server.Listener.Addr().String())
	require.NotNil(t, meter)
	before, err := meter()
	require.NoError(t, err)
	for begun := time.Now(); time.Since(begun) < 30*time.Millisecond; { // burn some
	}
	after, err := meter()
	require.NoError(t, err)
	require.Greater(t, after, before)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l.Close()
	require.Nil(t, listenerCPU(l.Addr().String()), "nobody listens")
	require.Nil(t, listenerCPU("192.0.2.1:80"), "another machine")

	path := filepath.Join(t.TempDir(), "a socket")
	socket, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer socket.Close()
	require.NotNil(t, listenerCPU(path))
	require.Nil(t, listenerCPU(path+"2"), "nobody listens")
}

func TestStolenTime(t *testing.T) {
	got, err := parseSteal([]byte("cpu  26744 0 11016 81605 508 0 386 1234 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n"))
	require.NoError(t, err)
	require.Equal(t, 12340*time.Millisecond, got)
	for _, stat := range []string{"", "cpu 1 2 3", "cpu0 1 2 3 4 5 6 7 8 9 10\n", "cpu  1 2 3 4 5 6 7 x 9 10\n"} {
		_, err := parseSteal([]byte(stat))
		require.Error(t, err, stat)
	}

	_, err = stolenTime()
	require.NoError(t, err)
}

func TestTreeCPUCountsTheDead(t *testing.T) {
	child := exec.Command("sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")
	meter := treeCPU(os.Getpid())
	before, err := meter()
	require.NoError(t, err)
	require.NoError(t, child.Run())
	after, err := meter()
	require.NoError(t, err)
	spent := child.ProcessState.UserTime() + child.ProcessState.SystemTime()
	require.Greater(t, spent, 3*tick)
	require.GreaterOrEqual(t, after-before, spent-2*tick)

	_, err = treeCPU(1 << 30)()
	require.ErrorContains(t, err, "has ended")
}
