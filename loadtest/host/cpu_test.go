package host

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOwnCPU(t *testing.T) {
	before, err := OwnCPU()
	require.NoError(t, err)
	for begun := time.Now(); time.Since(begun) < 30*time.Millisecond; { // burn some
	}
	after, err := OwnCPU()
	require.NoError(t, err)
	require.Greater(t, after, before)
}
