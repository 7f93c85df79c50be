//go:build linux

package prefork

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestNoSignalIsCrowdedOut: SIGTERM was lost where four other signals waited, because the channel
// was full.
func TestNoSignalIsCrowdedOut(t *testing.T) {
	kinds := []os.Signal{unix.SIGUSR1, unix.SIGUSR2, unix.SIGHUP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGTERM}
	signals, stop := subscribe(kinds...)
	for _, s := range kinds {
		for range 5 {
			require.NoError(t, syscall.Kill(os.Getpid(), s.(syscall.Signal)))
		}
	}
	left := make(map[os.Signal]bool)
	for _, s := range kinds {
		left[s] = true
	}
	for len(left) > 0 {
		delete(left, <-signals) // some come again
	}
	stop()
}
