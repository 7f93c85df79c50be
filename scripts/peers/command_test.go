package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMeasureCountsChildren has a shell whose child works.
func TestMeasureCountsChildren(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const work = `i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done`
	script := command{args: []string{"-c", work + `; read line; echo "$line $HOME"`}, stdin: "line\n"}
	out, alone, err := measure(t.Context(), "/bin/sh", script, dir)
	require.NoError(t, err)
	require.Equal(t, "line "+dir+"\n", string(out))
	require.Positive(t, alone.cpu)
	_, child, err := measure(t.Context(), "/bin/sh", command{args: []string{"-c", "sh -c '" + work + "'; exit 0"}}, dir)
	require.NoError(t, err)
	require.Greater(t, child.cpu, alone.cpu/4)
}

// TestResidentIsTheProgramsOwn measures a small program while this one is large.
func TestResidentIsTheProgramsOwn(t *testing.T) {
	t.Parallel()
	large := make([]byte, 64<<20)
	for i := range large {
		large[i] = 1
	}
	_, small, err := measure(t.Context(), "/bin/sh", command{args: []string{"-c", "sleep 0.1"}}, t.TempDir())
	require.NoError(t, err)
	require.Positive(t, small.resident)
	require.Less(t, small.resident, int64(32<<20))
	require.EqualValues(t, 1, large[len(large)-1])
}

func TestMeasureKills(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("it hung"))
	defer cancel()
	begun := time.Now()
	// Its child holds the output open, too.
	_, _, err := measure(ctx, "/bin/sh", command{args: []string{"-c", "sleep 100; exit 0"}}, t.TempDir())
	require.EqualError(t, err, "it hung")
	require.Less(t, time.Since(begun), 5*time.Second)
	require.False(t, exited(err))
}
