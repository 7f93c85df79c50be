//go:build !load

package loadtest

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// startOn starts a command that may use only one processor, and ends it when the test ends.
func startOn(t *testing.T, cpu int, cmd *exec.Cmd) {
	t.Helper()
	runtime.LockOSThread() // a child inherits the processors of the thread that starts it
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &before))
	one.Set(cpu)
	require.NoError(t, unix.SchedSetaffinity(0, &one))
	defer func() { require.NoError(t, unix.SchedSetaffinity(0, &before)) }()
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

// TestInjectorBesideABusyNeighbour pins the injector to a processor that others keep busy. One
// neighbour would not be enough: the kernel lets those that seldom compute go first.
func TestInjectorBesideABusyNeighbour(t *testing.T) {
	url := "http://" + answering(t)
	var allowed unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &allowed))
	cpu := 0
	for !allowed.IsSet(cpu) {
		cpu++
	}
	for range 8 {
		neighbour := exec.Command("sh", "-c", "while :; do :; done")
		neighbour.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		startOn(t, cpu, neighbour)
	}
	provoke(t, func() []string {
		injector := exec.Command(os.Args[0])
		injector.Env = append(os.Environ(), injectEnv+"="+url)
		var out bytes.Buffer
		injector.Stdout = &out
		startOn(t, cpu, injector)
		require.NoError(t, injector.Wait())
		return strings.Fields(out.String())
	}, DoubtCPU, DoubtDelay)
}
