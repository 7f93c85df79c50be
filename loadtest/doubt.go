package loadtest

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"rampart/loadtest/inject"
	"rampart/loadtest/result"
)

// Kinds of doubt.
const (
	DoubtLittle  = "littles-law"      // VUs, throughput and latency contradict each other
	DoubtCPU     = "injector-cpu"     // the injector had hardly any processor time left
	DoubtDelay   = "injector-delay"   // the injector had to wait for a processor, for a good part of the latency
	DoubtCeiling = "injector-ceiling" // a server that does nothing gives hardly more
	DoubtStolen  = "stolen-time"      // the machine was kept from computing
	DoubtShared  = "machine-shared"   // other processes used the processors meanwhile

	DoubtUnsteady = "unsteady" // of a confident ramp: its rounds scatter or drift too much
)

// Limits of doubt. Each lies well beyond what calm ramps show on two processors that server and
// injector share (README.md here, Figures), because a doubt that is often raised is soon ignored.
const (
	littleTolerance = 0.05
	injectorShare   = 0.8 // of the processors
	injectorDelay   = 0.5 // of the median latency
	ceilingShare    = 0.8
	stolenShare     = 0.05
	othersShare     = 0.1 // of the processors
)

// limits are what the injector cannot go beyond.
type limits struct {
	cpus    float64 // that it may use
	machine int     // processors of the machine
	ceiling float64 // requests per second against a server that does nothing; 0: not known
}

// doubts returns the reasons not to trust a level.
func doubts(l Level, limits limits) result.Doubts {
	var all result.Doubts
	doubt := func(kind, format string, a ...any) {
		all = append(all, result.Doubt{Kind: kind, Text: fmt.Sprintf(format, a...)})
	}
	if busy, ok := breaksLittle(l); ok {
		doubt(DoubtLittle, "throughput times latency gives %.2f busy VUs, which breaks Little's law", busy)
	}
	switch {
	case l.Strain.Busy > inject.TooBusy:
		doubt(DoubtCPU, "the busiest thread of the injector was busy for %.0f %% of the window: it may have measured itself",
			100*l.Strain.Busy)
	case l.ClientCPU != nil && l.ClientCPU.Cores()/limits.cpus > injectorShare:
		doubt(DoubtCPU, "the injector used %.0f %% of the %.3g CPUs that it may use: it may have measured itself",
			100*l.ClientCPU.Cores()/limits.cpus, limits.cpus)
	}
	if p50 := l.Quantile(0.5); l.Requests > 0 && l.Strain.Delay.Seconds() > injectorDelay*p50.Seconds() {
		doubt(
			DoubtDelay,
			"the injector waited for a processor for %v on average, at a median latency of %v: latencies contain it",
			l.Strain.Delay.Round(time.Microsecond),
			p50,
		)
	}
	if x := l.Throughput(); limits.ceiling > 0 && x > ceilingShare*limits.ceiling {
		doubt(DoubtCeiling, "a server that does nothing gave this injector %.0f requests/s, hardly more than this one's %.0f",
			limits.ceiling, x)
	}
	if l.Stolen != nil && l.Stolen.Cores()/limits.cpus > stolenShare {
		doubt(DoubtStolen, "%.0f %% of the machine's processor time were stolen by the hypervisor or withheld by a CPU limit",
			100*l.Stolen.Cores()/limits.cpus)
	}
	if l.Others != nil {
		share := l.Others.Cores() / float64(limits.machine)
		if limit := othersLimit(l.Others.Elapsed, limits.machine); share > limit {
			doubt(DoubtShared, "other processes used %.0f %% of the machine's processor time, more than %.0f %%: "+
				"end them, or measure when nothing else runs", 100*share, 100*limit)
		}
	}
	return all
}

// othersLimit is the share of the processors that others may use without a doubt. Many kernels find
// out who is busy only at each tick, at least a hundred times a second. So the share of n ticks is
// known with a standard deviation of at most 0.5/√n, of which three are allowed.
func othersLimit(window time.Duration, cpus int) float64 {
	return othersShare + 3*0.5/math.Sqrt(window.Seconds()*100*float64(cpus))
}

// breaksLittle checks Little's law, N = X·R (J. D. C. Little, "A Proof for the Queuing Formula L =
// λW", Operations Research 9(3), 1961), which a closed loop without think time must keep: at any
// time each VU is in one request, or connecting for it. Where they were not, some VUs stood still
// or the clock did. It returns how many VUs were busy.
//
// A window cuts requests at both ends, so that up to one request a VU is counted with a part that
// lies outside, or not at all. The tolerance grows by what that can amount to. Failed requests have
// no latency here, so a level that has any cannot be checked.
func breaksLittle(l Level) (busy float64, broken bool) {
	if l.Requests == 0 || l.Failures.Total() > 0 {
		return 0, false
	}
	busy = (l.LatencySum + l.ConnectSum).Seconds() / l.Window.Seconds()
	tolerance := littleTolerance + l.Mean().Seconds()/l.Window.Seconds()
	off := busy/float64(l.VUs) - 1
	return busy, off < -tolerance || off > tolerance
}

// busyEnough is the share of its time from which on the ceiling of the injector is worth measuring:
// below, a level is far from it.
const busyEnough = 0.5

// ceiling is that of this process, in requests per second; 0: it cannot be known. It is measured
// once, when it is first needed, in a tenth of a second. Of three tries the best counts: what
// disturbs one makes it lower.
var ceiling = sync.OnceValue(func() float64 {
	const vus, tries, window = 64, 3, 30 * time.Millisecond
	best := 0.0
	for range tries {
		if x, err := inject.Ceiling(context.Background(), vus, window); err == nil {
			best = max(best, x)
		}
	}
	return best
})
