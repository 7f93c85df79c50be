package inject

import (
	"time"

	"golang.org/x/sys/unix"
)

// nap sleeps for about d, at most a few milliseconds, with the precision of the kernel. It may
// return early.
var nap = func(d time.Duration) {
	left := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&left, nil)
}
