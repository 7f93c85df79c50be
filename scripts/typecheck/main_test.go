package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	found, err := check("linux", "./testdata/broken")
	require.NoError(t, err)
	require.Empty(t, found)
	found, err = check("darwin", "./testdata/broken")
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.ErrorContains(t, found[0], "undefined: there")

	_, err = check("no-such-system", "./testdata/broken")
	require.ErrorContains(t, err, "listing the packages for no-such-system")
}
