package k6

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestNoK6IsLeftBehind kills the injecting process in a way of which it learns nothing.
func TestNoK6IsLeftBehind(t *testing.T) {
	// The orphan becomes ours to wait for, as not every process 1 does that.
	require.NoError(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.Symlink(self, filepath.Join(dir, "k6")))
	parent := exec.Command(self)
	parent.Env = []string{"PATH=" + dir, "TMPDIR=" + dir, actAs + "=parent"}
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, 0), "it runs")
	require.NoError(t, parent.Process.Kill())
	parent.Wait()
	// This process has become its parent.
	ended := make(chan syscall.WaitStatus, 1)
	go func() {
		var status syscall.WaitStatus
		syscall.Wait4(pid, &status, 0, nil)
		ended <- status
	}()
	select {
	case status := <-ended:
		require.True(t, status.Signaled(), "%v", status)
	case <-time.After(30 * time.Second):
		syscall.Kill(pid, syscall.SIGKILL)
		t.Fatal("k6 has outlived the process that started it")
	}
}
