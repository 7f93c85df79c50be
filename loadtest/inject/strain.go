package inject

import (
	"runtime/metrics"
	"time"
)

// Strain is how hard the injector itself had it in a window. Where it was strained, it may have
// measured itself. The zero value: nothing is known.
type Strain struct {
	// Busy is the share of the window in which the busiest event loop used a processor, or waited for
	// one. 1 means that the loop could do no more. It is 0 where each VU has a goroutine.
	Busy float64
	// Delay is how long a thread of the injector that had something to do waited for a processor, on
	// average over the times that one got it; where each VU has a goroutine, plus how long a goroutine
	// waited for a thread.
	Delay time.Duration
}

// TooBusy is the value of Busy beyond which what was measured is in doubt: the injector is then a
// part of it, and hides a part of what two servers differ by.
const TooBusy = 0.9

// strainMeter measures the strain between two readings.
type strainMeter struct {
	drivers []driver
	at      time.Time
	threads map[int]threadTimes
	waits   *metrics.Float64Histogram
}

// threadTimes is what the kernel says of a thread.
type threadTimes struct {
	running time.Duration // used a processor
	waiting time.Duration // had something to do, and no processor
	turns   uint64        // times it got a processor
}

func (t threadTimes) minus(u threadTimes) threadTimes {
	return threadTimes{t.running - u.running, t.waiting - u.waiting, t.turns - u.turns}
}

// newStrainMeter takes the first reading.
func newStrainMeter(drivers []driver) strainMeter {
	return strainMeter{drivers: drivers, at: time.Now(), threads: readThreads(), waits: goroutineWaits()}
}

// strain takes the second reading.
func (m strainMeter) strain() Strain {
	window := time.Since(m.at)
	var s Strain
	var all threadTimes
	loops := make(map[int]bool)
	for _, d := range m.drivers {
		if t := d.thread(); t != 0 {
			loops[t] = true
		}
	}
	for id, now := range readThreads() {
		if len(loops) > 0 && !loops[id] {
			continue
		}
		spent := now.minus(m.threads[id])
		all.waiting += spent.waiting
		all.turns += spent.turns
		if len(loops) > 0 {
			s.Busy = max(s.Busy, (spent.running+spent.waiting).Seconds()/window.Seconds())
		}
	}
	if all.turns > 0 {
		s.Delay = all.waiting / time.Duration(all.turns)
	}
	if len(loops) == 0 {
		s.Delay += meanWait(m.waits, goroutineWaits())
	}
	return s
}

// goroutineWaits returns how long goroutines were ready before they ran, of all since the program
// began.
func goroutineWaits() *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return nil
	}
	return sample[0].Value.Float64Histogram()
}

// meanWait is the mean of what b has more than a. A bucket counts with its upper bound, which errs
// on the side of doubt, or with its lower one where it has none.
func meanWait(a, b *metrics.Float64Histogram) time.Duration {
	if a == nil || b == nil {
		return 0
	}
	var n, sum float64
	for i, count := range b.Counts {
		more := float64(count - a.Counts[i])
		bound := b.Buckets[i+1]
		if i == len(b.Counts)-1 {
			bound = b.Buckets[i]
		}
		n += more
		sum += more * bound
	}
	if n == 0 {
		return 0
	}
	return time.Duration(sum / n * float64(time.Second))
}
