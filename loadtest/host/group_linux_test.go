package host

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTreeCPUCountsTheDead(t *testing.T) {
	child := exec.Command("sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")
	meter := TreeCPU(os.Getpid())
	before, err := meter()
	require.NoError(t, err)
	require.NoError(t, child.Run())
	after, err := meter()
	require.NoError(t, err)
	spent := child.ProcessState.UserTime() + child.ProcessState.SystemTime()
	require.Greater(t, spent, 3*tick)
	require.GreaterOrEqual(t, after-before, spent-2*tick)

	_, err = TreeCPU(1 << 30)()
	require.ErrorContains(t, err, "has ended")
}

// TestReadings holds what a group has used between two readings while processes come and go.
func TestReadings(t *testing.T) {
	const ms = time.Millisecond
	at := func(at time.Duration, uses ...use) reading {
		r := reading{at, make(map[identity]use)}
		for _, u := range uses {
			r.members[u.identity] = u
		}
		return r
	}
	p := func(pid, parent int, started, own, reaped time.Duration) use {
		return use{member{process: process{identity{pid, started}, parent, "server", reaped}}, own}
	}
	wrapper := func(own time.Duration) use {
		u := p(9, 1, 0, own, 0)
		u.wrapper = true
		return u
	}
	begun := at(time.Minute, p(10, 1, 0, 100*ms, 0), p(11, 10, 0, 50*ms, 0))
	for name, tt := range map[string]struct {
		last, now reading
		want      time.Duration
		err       string
	}{
		"both work": {begun, at(0, p(10, 1, 0, 130*ms, 0), p(11, 10, 0, 60*ms, 0)), 40 * ms, ""},
		"a new worker": {begun, at(0, p(10, 1, 0, 100*ms, 0), p(11, 10, 0, 50*ms, 0),
			p(12, 10, 61*time.Second, 70*ms, 0)), 70 * ms, ""},
		"one joins late": {begun, at(0, p(10, 1, 0, 100*ms, 0), p(11, 10, 0, 50*ms, 0),
			p(12, 1, time.Second, 70*ms, 0)), 0, "older than the window"},
		"a worker is dead":  {begun, at(0, p(10, 1, 0, 100*ms, 90*ms)), 40 * ms, ""},
		"and forgotten":     {begun, at(0, p(10, 1, 0, 100*ms, 0)), 0, "are lost"},
		"an orphan is dead": {begun, at(0, p(11, 1, 0, 50*ms, 0)), 0, "no other process of the server counts"},
		"another process has its number": {begun, at(0, p(10, 1, 0, 100*ms, 60*ms), p(11, 10, 61*time.Second, 5*ms, 0)),
			15 * ms, ""},
		"a wrapper rests": {at(time.Minute, wrapper(0), p(10, 9, 0, 0, 0)),
			at(0, wrapper(ms), p(10, 9, 0, 200*ms, 0)), 201 * ms, ""},
		"a wrapper works": {at(time.Minute, wrapper(0), p(10, 9, 0, 0, 0)),
			at(0, wrapper(50*ms), p(10, 9, 0, 200*ms, 0)), 0, "does not serve"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tt.now.since(&tt.last)
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

// TestForgetful holds that a server is not metered of whose children the kernel forgets what they
// used.
func TestForgetful(t *testing.T) {
	cmd, _ := play(t, "parent")
	_, err := TreeCPU(cmd.Process.Pid)()
	require.NoError(t, err)
	cmd, _ = play(t, "forgetful parent")
	_, err = TreeCPU(cmd.Process.Pid)()
	require.ErrorContains(t, err, "ignores the end of its children")
}
