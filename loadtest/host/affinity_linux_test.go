package host

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// processors is what a new process may use, as the kernel lists it.
func processors(t *testing.T, on Affinity) string {
	t.Helper()
	var out strings.Builder
	cmd := exec.Command("sh", "-c", "grep Cpus_allowed_list /proc/self/status")
	cmd.Stdout = &out
	require.NoError(t, on.Start(cmd.Start))
	require.NoError(t, cmd.Wait())
	return strings.TrimSpace(strings.TrimPrefix(out.String(), "Cpus_allowed_list:"))
}

func TestServersAndInjectorShareNoProcessor(t *testing.T) {
	before := processors(t, Affinity{})
	on, err := Split()
	require.NoError(t, err)
	if on.servers == nil {
		require.Equal(t, 1, runtime.NumCPU(), "with two processors there is something to split")
		return
	}
	require.Equal(t, max(runtime.NumCPU()/4, 1), on.injector.Count())
	for cpu := range runtime.NumCPU() {
		require.False(t, on.servers.IsSet(cpu) && on.injector.IsSet(cpu))
	}
	unpin, err := on.Pin()
	require.NoError(t, err)
	injector, servers := processors(t, Affinity{}), processors(t, on)
	unpin()
	require.NotEqual(t, before, servers)
	require.NotEqual(t, injector, servers)
	require.Equal(t, before, processors(t, Affinity{}), "as it was")
}

// TestPinReachesThreads holds that threads which there are already are pinned, too.
func TestPinReachesThreads(t *testing.T) {
	on, err := Split()
	require.NoError(t, err)
	if on.injector == nil {
		return // there is nothing to pin to
	}
	ids, ask, end := make(chan unix.CPUSet), make(chan bool), make(chan bool)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for range ask {
			var set unix.CPUSet
			_ = unix.SchedGetaffinity(0, &set) // an empty set would fail the test
			ids <- set
		}
		close(end)
	}()
	ask <- true
	before := <-ids
	unpin, err := on.Pin()
	require.NoError(t, err)
	ask <- true
	pinned := <-ids
	unpin()
	ask <- true
	after := <-ids
	close(ask)
	<-end
	require.Equal(t, *on.injector, pinned)
	require.Equal(t, before, after)
}

// TestPinReachesNewThreads holds that threads which are made while the others are pinned are
// pinned, too.
func TestPinReachesNewThreads(t *testing.T) {
	on, err := Split()
	require.NoError(t, err)
	if on.injector == nil {
		return // there is nothing to pin to
	}
	end := make(chan struct{})
	var makers sync.WaitGroup
	for range 4 {
		makers.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				made := make(chan struct{})
				go func() {
					runtime.LockOSThread() // the thread ends with the goroutine
					close(made)
				}()
				<-made
			}
		})
	}
	defer makers.Wait()
	defer close(end)
	for range 100 {
		unpin, err := on.Pin()
		require.NoError(t, err)
		threads, err := filepath.Glob("/proc/self/task/[0-9]*")
		require.NoError(t, err)
		for _, thread := range threads {
			id, err := strconv.Atoi(filepath.Base(thread))
			require.NoError(t, err)
			var set unix.CPUSet
			if unix.SchedGetaffinity(id, &set) == nil { // else it has ended
				require.Equal(t, *on.injector, set)
			}
		}
		unpin()
	}
}
