package k6

import (
	"time"

	"golang.org/x/sys/unix"
)

// pause sleeps in the kernel. Go's own sleep ends up to a millisecond late, by how much depends on
// what else the process waits for: on the rhythm of the requests, and so on the engine that is
// measured.
func pause(d time.Duration) {
	left := unix.NsecToTimespec(d.Nanoseconds())
	for unix.Nanosleep(&left, &left) == unix.EINTR {
	}
}
