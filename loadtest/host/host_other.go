//go:build !linux

package host

import (
	"errors"
	"runtime"
	"time"
)

// Other systems do not show the processor time of other processes without privileges; there the
// metrics of a server have to do.

// ServerCPU returns a meter that fails.
func ServerCPU(string, Launch) Meter { return TreeCPU() }

// ServerMemory returns a gauge that fails.
func ServerMemory(string, Launch) Gauge {
	return func() (int64, error) { return 0, errors.ErrUnsupported }
}

// End does nothing.
func (Launch) End() {}

// Share is not known.
func Share(_, _ string) bool { return false }

// MakesCode is not known.
func MakesCode(string, Launch) bool { return false }

func oneSocket(_, _ string) bool { return false }

// ProcessCPU fails.
func ProcessCPU(int) (time.Duration, error) { return 0, errors.ErrUnsupported }

// TreeCPU returns a meter that fails.
func TreeCPU(...int) Meter {
	return func() (time.Duration, error) { return 0, errors.ErrUnsupported }
}

// BusyTime is not known.
func BusyTime() (time.Duration, error) { return 0, errors.ErrUnsupported }

// MachineCPUs is how many processors the machine has.
func MachineCPUs() int { return runtime.NumCPU() }

// Elsewhere is not known.
func Elsewhere(string) bool { return false }

// StolenTime is not known.
func StolenTime() (time.Duration, error) { return 0, errors.ErrUnsupported }
