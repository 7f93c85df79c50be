package host

import (
	"fmt"
	"syscall"
	"time"
)

// A Meter returns the processor time, user and system, that something has used so far.
type Meter func() (time.Duration, error)

// A Gauge returns how many bytes of memory something holds now.
type Gauge func() (int64, error)

// OwnCPU is the processor time of this process so far: a [Meter].
func OwnCPU() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, fmt.Errorf("processor time of this process: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}

// Launch is how this process started a server. The zero value: it did not.
type Launch struct {
	PID int // of the process that was started, which may be the server or what starts it
	// Mark is a line of the environment, NAME=VALUE, that no other process has but those that the
	// launch led to. They are found by it also where they have detached themselves.
	Mark string
}
