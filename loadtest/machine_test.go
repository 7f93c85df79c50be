//go:build !load

package loadtest

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/host"
)

// TestMachineOfAPinnedProcess: a result said that the machine had one processor, where a duel had
// pinned the injector to one of two.
func TestMachineOfAPinnedProcess(t *testing.T) {
	before, procs := thisMachine(), runtime.GOMAXPROCS(0)
	require.Positive(t, before.CPUs)
	on, err := host.Split()
	require.NoError(t, err)
	unpin, err := on.Pin()
	require.NoError(t, err)
	defer func() {
		unpin()
		runtime.SetDefaultGOMAXPROCS()
		if runtime.GOMAXPROCS(0) != procs { // of somebody who asked for it
			runtime.GOMAXPROCS(procs)
		}
	}()
	runtime.SetDefaultGOMAXPROCS() // which Go does by itself after a while
	if runtime.GOMAXPROCS(0) >= procs {
		t.Skip("the injector cannot be pinned to fewer processors here")
	}
	require.Equal(t, before, thisMachine())
}
