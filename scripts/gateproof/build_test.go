package main

import (
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBuild holds that candidates are what they are said to be: one differs, though not in length of its name, one only in its name.
func TestBuild(t *testing.T) {
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
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"-n", "0"}, {"-usual", "-1"}, {"-blocks", "0"}, {"x"}} {
		require.ErrorContains(t, run(args, io.Discard, io.Discard), "want -n 1 or more", "%v", args)
	}
}
