// Package capacity decides when a ramp has found what a server can give. It holds pure functions:
// what was measured in, what to measure next and what follows from it out, no clock and no I/O.
// [Classic] is the stop rule of the original, [Search] is the one that says how sure it is.
package capacity

// Level is what a stop rule looks at.
type Level struct {
	VUs        int
	Throughput float64 // successful requests per second
	Failures   uint64
}

// StopReason says why a ramp ended. The zero value says that it goes on.
type StopReason string

// The stop reasons.
const (
	Knee           StopReason = "knee"     // more VUs gave no significantly higher throughput
	RequestsFailed StopReason = "failures" // requests failed
	MaxVUs         StopReason = "max-vus"  // the next level would have more VUs than allowed
	SLO            StopReason = "slo"      // a level did not keep what was asked of it
	Deadline       StopReason = "deadline" // the time would not have sufficed for the next level
	Canceled       StopReason = "canceled" // somebody ended it
)

// Decision is what a stop rule makes of a level.
type Decision struct {
	Accepted bool       // the level is part of the result
	Stop     StopReason // why it is the last one; empty: it is not
	Next     int        // VUs of the next level, where Stop is empty
}
