//go:build linux

package prefork

import (
	"time"

	"golang.org/x/sys/unix"
)

// clockBase and clockZero are the same moment, on Go's clock and on CLOCK_MONOTONIC.
var clockBase, clockZero = time.Now(), func() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("prefork: no monotonic clock: " + err.Error())
	}
	return ts.Nano()
}()

// monotonic is the time on CLOCK_MONOTONIC in nanoseconds, which all processes of a machine share
// and which stands still while the machine sleeps. It goes through Go's clock because that needs no
// system call.
func monotonic() int64 {
	return clockZero + int64(time.Since(clockBase))
}

// processCPU is the processor time that a process of this machine has used until now. The clock of
// a process has an id that is computed from its pid (clock_getcpuclockid(3)), counts nanoseconds
// where /proc/PID/stat counts hundredths of a second, and may be read by anybody.
func processCPU(pid int) (time.Duration, error) {
	const wholeProcess = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|wholeProcess), &ts); err != nil {
		return 0, err
	}
	return time.Duration(ts.Nano()), nil
}
