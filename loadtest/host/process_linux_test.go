package host

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestParseStat(t *testing.T) {
	p, err := parseStat([]byte("4242 (a ) b (c) S 17 4242 17 0 -1 4194560 100 200 0 0 11 22 33 44 20 0 1 0 55 66 77\n"))
	require.NoError(t, err)
	want := process{identity{4242, 550 * time.Millisecond}, 17, "a ) b (c", 770 * time.Millisecond}
	require.Empty(t, cmp.Diff(want, p, cmp.AllowUnexported(process{}, identity{})))
	for _, line := range []string{"", "1", "1 (a", "1 (a) S 1", "x (a) S 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"} {
		_, err := parseStat([]byte(line))
		require.Error(t, err, line)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("1 (init) S 0 1 1 0 -1 4194560 100 200 0 0 11 22 33 44 20 0 1 0 55 66 77"))
	f.Add([]byte(") ("))
	f.Fuzz(func(t *testing.T, line []byte) { _, _ = parseStat(line) })
}

// someProcess is a process that has another one above it.
func someProcess(pid, parent int, name string) process {
	return process{identity: identity{pid: pid}, parent: parent, name: name}
}

func TestTree(t *testing.T) {
	all := []process{
		someProcess(1, 0, ""), someProcess(2, 1, ""), someProcess(3, 2, ""), someProcess(4, 3, ""), someProcess(5, 1, ""),
	}
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
	require.Equal(t, map[int]bool{4: true, 3: true, 2: true, 1: true}, lineage(all, 4))
}
