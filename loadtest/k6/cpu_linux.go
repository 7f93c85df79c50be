package k6

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// processCPU reads the processor-time clock of a process, whose number is the one that clock_getcpuclockid(3) computes.
// It is os.ErrProcessDone when the process has ended and been waited for.
func processCPU(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED
	var ts unix.Timespec
	err := unix.ClockGettime(int32(^pid<<3|schedClock), &ts)
	switch {
	case errors.Is(err, unix.EINVAL):
		return 0, os.ErrProcessDone
	case err != nil:
		return 0, fmt.Errorf("processor time of k6 (process %d): %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}
