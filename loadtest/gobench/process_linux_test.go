package gobench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/host"
)

// used is the processor time of a process.
func used(t *testing.T, p *process) time.Duration {
	t.Helper()
	d, err := host.ProcessCPU(p.cmd.Process.Pid)
	require.NoError(t, err)
	return d
}
