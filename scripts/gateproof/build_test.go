package main

import (
	"io"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest"
)

// TestBuild holds that candidates are what they are said to be: one differs, though not in length
// of its name, one only in its name.
func TestBuild(t *testing.T) {
	if os.Getenv("SLOW") == "" {
		t.Skip("SKIPPED: it links many servers: make test SLOW=1")
	}
	paths, err := build(t.Context(), t.TempDir())
	require.NoError(t, err)
	content := make(map[kind]string)
	for k, path := range paths {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		content[k] = string(b)
	}
	require.False(t, content[same] == content[commented])
	require.True(t, content[same] == content[renamed])
	require.Len(t, paths[commented], len(paths[same]))
	require.Greater(t, len(paths[renamed]), len(paths[same])+30)
	t.Run("tails", func(t *testing.T) {
		for k, tail := range tails {
			t.Run(string(k), func(t *testing.T) {
				t.Parallel() // most of the time they start and stop
				require.Len(t, paths[k], len(paths[same]))
				testTail(t, paths[k], tail)
			})
		}
	})
}

// testTail holds that each request that should be slow is, and that the others are not.
func testTail(t *testing.T, path string, tail tail) {
	s, err := loadtest.StartServer(t.Context(), path, "-workers", "0", "-addr", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Stop()) }()
	u := request(iterations)
	u.Host = s.Addr
	var slow, others []time.Duration
	for i := 1; i <= 400; i++ {
		begun := time.Now()
		answer, err := http.Get(u.String())
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, answer.Body)
		require.NoError(t, err)
		answer.Body.Close()
		require.Equal(t, http.StatusOK, answer.StatusCode)
		if took := time.Since(begun); i%tail.every == 0 {
			slow = append(slow, took)
		} else {
			others = append(others, took)
		}
	}
	slices.Sort(slow)
	slices.Sort(others)
	t.Logf("the %d that should be slow took %v to %v, the median of others %v", len(slow), slow[0], slow[len(slow)-1],
		others[len(others)/2])
	require.Len(t, slow, 400/tail.every)
	if tail.sleep != "" {
		require.GreaterOrEqual(t, slow[0], 30*time.Millisecond)
		require.Less(t, others[len(others)/2], 15*time.Millisecond)
	} else {
		require.InDelta(t, tailWork, float64(slow[0])/float64(others[0]), 0.6*tailWork)
		require.Less(t, others[len(others)/2], slow[0])
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"-n", "0"}, {"-usual", "-1"}, {"-blocks", "0"}, {"x"}} {
		require.ErrorContains(t, run(t.Context(), args, io.Discard, io.Discard), "want -n 1 or more", "%v", args)
	}
}
