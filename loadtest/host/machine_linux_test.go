package host

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBusyTime(t *testing.T) {
	got, err := parseBusy([]byte("cpu  100 20 3 81605 508 7000 386 1234 50 60\ncpu0 1 2 3 4 5 6 7 8 9 10\n"))
	require.NoError(t, err)
	require.Equal(t, 1230*time.Millisecond, got,
		"neither idle nor waiting, interrupts, stolen, nor guests, which are users")
	require.GreaterOrEqual(t, MachineCPUs(), runtime.NumCPU())
	for _, stat := range []string{"", "cpu 1 2", "cpu0 1 2 3 4", "cpu  1 x 3 4"} {
		_, err := parseBusy([]byte(stat))
		require.Error(t, err, stat)
	}

	before, err := BusyTime()
	if err != nil {
		require.ErrorIs(t, err, errContainer)
		return
	}
	burn(200 * time.Millisecond)
	after, err := BusyTime()
	require.NoError(t, err)
	require.Greater(t, after-before, 100*time.Millisecond)
}

func TestElsewhere(t *testing.T) {
	for _, here := range []string{"127.0.0.1:80", "[::1]:80", "127.8.9.10:1", "/a/socket", "no address"} {
		require.False(t, Elsewhere(here), here)
	}
	require.True(t, Elsewhere("192.0.2.1:80"))
}
