package gobench

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestScan reads what package testing prints with -test.v.
func TestScan(t *testing.T) {
	c := catalog{skipped: map[string]string{}, failed: map[string]string{}, better: map[string]string{}}
	s := scanner{catalog: &c, procs: []int{1, 2}}
	for line := range strings.Lines(`Unit laps/op better=lower
goos: linux
goarch: amd64
pkg: example.org/x
BenchmarkA
BenchmarkA   	     100	        12.5 ns/op	       0 B/op	       0 allocs/op
noise BenchmarkA-2 	     100	        11.5 ns/op	       0 B/op	       0 allocs/op
BenchmarkA/b-2
BenchmarkA/b-2 	     100	        10 ns/op
BenchmarkA/b-2-2 	     100	        9 ns/op
BenchmarkS
    x_test.go:1: not today
--- SKIP: BenchmarkS
BenchmarkT
--- SKIP: BenchmarkT
    x_test.go:5: no network
--- FAIL: BenchmarkF
    x_test.go:7: wrong
    x_test.go:8: very
BenchmarkG
--- BENCH: BenchmarkA
    x_test.go:9: a log
BenchmarkH
`) {
		s.line(line, time.Time{})
	}
	var names []string
	for _, f := range c.found {
		names = append(names, f.printed())
	}
	require.Equal(t, []string{"BenchmarkA", "BenchmarkA-2", "BenchmarkA/b-2", "BenchmarkA/b-2-2"}, names)
	require.Equal(t, "example.org/x", c.pkg)
	require.Equal(t, map[string]string{"laps/op": "lower"}, c.better)
	require.Equal(t, map[string]string{
		"BenchmarkS": "x_test.go:1: not today", "BenchmarkT": "x_test.go:5: no network",
	}, c.skipped)
	require.Equal(t, map[string]string{"BenchmarkF": "x_test.go:7: wrong x_test.go:8: very"}, c.failed)
	require.Equal(t, "BenchmarkH", s.running)

	lost, err := s.judge(nil, "words")
	require.NoError(t, err)
	require.Empty(t, lost)
	lost, err = s.judge(errSkipped, "words")
	require.NoError(t, err)
	require.Equal(t, "BenchmarkH", lost)
	s.running, s.over = "", false
	_, err = s.judge(errSkipped, "words")
	require.EqualError(t, err, "words")
}
