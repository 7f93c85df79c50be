package child

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTail(t *testing.T) {
	var said Tail
	for i := range 100 {
		fmt.Fprintf(&said, "line %d\n", i)
	}
	lines := strings.SplitAfter(said.String(), "\n")
	require.Equal(t, "line 60\n", lines[0])
	require.Len(t, lines, tailLines+1)
	fmt.Fprint(&said, "half")
	require.True(t, strings.HasPrefix(said.String(), "line 61\n"))
	require.True(t, strings.HasSuffix(said.String(), "line 99\nhalf"))
	for range 1000 {
		fmt.Fprint(&said, strings.Repeat("x", 1000))
	}
	require.Len(t, said.String(), tailBytes, "of a line that does not end")
	require.LessOrEqual(t, cap(said.said), 8*tailBytes)
}

func TestStart(t *testing.T) {
	_, err := Start(exec.Command("/nonexistent/program"), Options{})
	require.ErrorContains(t, err, "no such file")

	var order []string
	p, err := Start(exec.Command("sh", "-c", "exit 3"), Options{
		Start: func(start func() error) error { order = append(order, "start"); return start() },
		Begun: func() { order = append(order, "begun") },
		Ended: func() { order = append(order, "ended") },
	})
	require.NoError(t, err)
	require.ErrorContains(t, p.Wait(), "exit status 3")
	require.Equal(t, "exit status 3", p.State())
	require.Equal(t, []string{"start", "begun", "ended"}, order)
	asked, killed := p.Stop(time.Minute)
	require.False(t, asked)
	require.False(t, killed)
}

func TestStop(t *testing.T) {
	for _, test := range []struct {
		script        string
		patience      time.Duration
		state         string
		asked, killed bool
	}{
		{"trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done", time.Minute, "exit status 0", true, false},
		{"echo ready; exec sleep 60", time.Minute, "signal: terminated", true, false},
		{"trap '' TERM; echo ready; sleep 60", 10 * time.Millisecond, "signal: killed", true, true},
	} {
		said := new(Tail)
		cmd := exec.Command("sh", "-c", test.script)
		cmd.Stdout = said
		p, err := Start(cmd, Options{})
		require.NoError(t, err)
		require.Eventually(t, func() bool { return said.String() == "ready\n" }, 30*time.Second, time.Millisecond)
		asked, killed := p.Stop(test.patience)
		require.Equal(t, test.asked, asked, test.script)
		require.Equal(t, test.killed, killed, test.script)
		require.Equal(t, test.state, p.State(), test.script)
	}
}

// TestGroup holds that what outlives a process of which all are to end is killed, and nothing else
// is.
func TestGroup(t *testing.T) {
	for group, want := range map[bool]error{true: syscall.ESRCH, false: nil} {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		defer r.Close()
		cmd := exec.Command("sh", "-c", "sleep 60 & echo $!")
		cmd.Stdout = w // a file, so that nobody waits until the one in the background lets go of it
		p, err := Start(cmd, Options{Group: group})
		require.NoError(t, err)
		require.NoError(t, w.Close())
		require.NoError(t, p.Wait())
		var other int
		_, err = fmt.Fscan(r, &other)
		require.NoError(t, err)
		gone := func() bool { return syscall.Kill(other, 0) != nil }
		if want != nil {
			require.Eventually(t, gone, 30*time.Second, time.Millisecond)
			continue
		}
		require.False(t, gone())
		require.NoError(t, syscall.Kill(other, syscall.SIGKILL))
	}
}

func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, "sh", "-c", "trap 'exit 7' INT; while :; do sleep 0.01; done")
	cmd.WaitDelay = 30 * time.Second
	p, err := Start(cmd, Options{Group: true, Canceled: syscall.SIGINT})
	require.NoError(t, err)
	time.Sleep(50 * time.Millisecond) // for the trap; without it, the signal ends the shell all the same
	cancel()
	require.Error(t, p.Wait())
}

// TestEndedIsNotSignalled: the group of a process that had been waited for was killed, whosever its
// number was by then.
func TestEndedIsNotSignalled(t *testing.T) {
	p, err := Start(exec.CommandContext(t.Context(), "true"), Options{Group: true, Canceled: syscall.SIGKILL})
	require.NoError(t, err)
	require.NoError(t, p.Wait())
	other, err := Start(exec.Command("sleep", "60"), Options{Group: true})
	require.NoError(t, err)
	p.cmd.Process = other.cmd.Process // as after a while, when the numbers come round
	require.False(t, p.Signal(syscall.SIGKILL))
	require.ErrorIs(t, p.cmd.Cancel(), os.ErrProcessDone)
	select {
	case <-other.Ended():
		require.Fail(t, "somebody else was killed")
	case <-time.After(50 * time.Millisecond):
	}
	asked, _ := other.Stop(time.Minute)
	require.True(t, asked)
}
