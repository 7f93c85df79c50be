//go:build !linux

package loadtest

import (
	"errors"
	"time"
)

// Other systems do not show the processor time of other processes without privileges; there the metrics of a server
// have to do.

func listenerCPU(string) CPUMeter { return nil }

func treeCPU(...int) CPUMeter {
	return func() (time.Duration, error) { return 0, errors.ErrUnsupported }
}

func stolenTime() (time.Duration, error) { return 0, errors.ErrUnsupported }
