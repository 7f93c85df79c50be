package loadtest

import (
	"fmt"

	"rampart/loadtest/report"
)

// Kinds of doubt.
const (
	DoubtLittle   = "littles-law"  // VUs, throughput and latency contradict each other
	DoubtInjector = "injector-cpu" // the injector had hardly any processor time left
)

// Limits of doubt.
const (
	littleTolerance = 0.05
	injectorShare   = 0.8
)

// doubts returns the reasons not to trust a level, measured by an injector that may use a number of CPUs.
func doubts(l Level, cpus int) report.Doubts {
	var all report.Doubts
	if text, ok := breaksLittle(l); ok {
		all = append(all, report.Doubt{Kind: DoubtLittle, Text: text})
	}
	if l.ClientCPU != nil {
		if share := l.ClientCPU.Cores() / float64(cpus); share > injectorShare {
			all = append(all, report.Doubt{Kind: DoubtInjector, Text: fmt.Sprintf(
				"the injector used %.0f %% of the %d CPUs that it may use: it may have measured itself", 100*share, cpus)})
		}
	}
	return all
}

// breaksLittle checks Little's law, N = X·R (J. D. C. Little, "A Proof for the Queuing Formula L = λW", Operations
// Research 9(3), 1961), which a closed loop without think time must keep: at any time each VU is in one request, or
// connecting for it. Where they were not, some VUs stood still or the clock did.
//
// A window cuts requests at both ends, so that up to one request a VU is counted with a part that lies outside, or not
// at all. The tolerance grows by what that can amount to. Failed requests have no latency here, so a level that has any
// cannot be checked.
func breaksLittle(l Level) (string, bool) {
	if l.Requests == 0 || l.Failures.Total() > 0 {
		return "", false
	}
	busy := (l.Latencies + l.Connects).Seconds() / l.Window.Seconds()
	tolerance := littleTolerance + l.Mean().Seconds()/l.Window.Seconds()
	if off := busy/float64(l.VUs) - 1; off < -tolerance || off > tolerance {
		return fmt.Sprintf("throughput times latency gives %.2f busy VUs, which breaks Little's law", busy), true
	}
	return "", false
}
