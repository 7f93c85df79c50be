//go:build !linux

package k6

import (
	"errors"
	"time"
)

// Other systems do not show the processor time of another process without privileges.
func processCPU(int) (time.Duration, error) { return 0, errors.ErrUnsupported }
