//go:build linux

package prefork

import (
	"fmt"
	"time"
)

const (
	// beatEvery is how often a worker shows that it lives.
	beatEvery = 500 * time.Millisecond
	// leastSilence is how long a worker may be silent at least, however short Timeout is: a machine
	// that has ten times as much to do as it can still lets each worker run several times in it.
	leastSilence = 2 * time.Second
	// lateness is how late the master may be itself. If it is later, the machine stood still or the
	// master did, and the silence of the workers says nothing until they have had time to speak again.
	lateness = leastSilence / 4
)

// vitals are what the master knows of how a worker does.
type vitals struct {
	ready   bool
	age     time.Duration // since its start
	silence time.Duration // since it last showed that it lives, or since the master knows again what that means
	oldest  time.Duration // age of its oldest request, 0 without one
}

// The ways to hang. They are told apart because their causes are: a program that does not come up,
// a handler that does not come to an end, a process that does not run at all.
const (
	hangStart  = "start timeout"
	hangStuck  = "stuck"
	hangFrozen = "frozen"
)

// diagnose returns how a worker hangs and why that is said, or two empty strings. A timeout of 0 is
// none.
func diagnose(v vitals, bootTimeout, timeout time.Duration) (kind, why string) {
	switch {
	case !v.ready:
		if v.age >= bootTimeout {
			return hangStart, fmt.Sprintf("not ready after %s", bootTimeout)
		}
	case timeout == 0:
	case v.silence >= max(timeout, leastSilence):
		return hangFrozen, fmt.Sprintf("no sign of life for %s", v.silence.Round(time.Millisecond))
	case v.oldest > timeout:
		return hangStuck, fmt.Sprintf("a request runs for %s, more than %s", v.oldest.Round(time.Millisecond), timeout)
	}
	return "", ""
}
