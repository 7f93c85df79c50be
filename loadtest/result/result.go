// Package result holds what load experiments measured: levels, ramps and the blocks of duels, with
// JSON in and out ([JSON], [ReadJSON]). It measures, judges and draws nothing.
package result

import (
	"time"

	"rampart/loadtest/capacity"
	"rampart/loadtest/inject"
)

// Kinds of a Result.
const (
	KindRamp   = "ramp"   // levels until a stop rule ended them
	KindLevels = "levels" // each level was asked for
)

// Result is what an experiment found.
type Result struct {
	Kind     string // KindRamp or KindLevels
	Version  string // of rampart
	Started  time.Time
	Elapsed  time.Duration
	Target   string   // what was loaded; without password
	Address  string   // that all load went to, host:port or the path of a unix socket; empty: not known
	Others   []string // addresses of the same name that got no load
	Settings []Setting
	Machine  Machine // that injected
	Levels   []Level // in the order in which they ran
	Stop     Stop    // zero in a result of kind "levels", and in a ramp that goes on
	NextVUs  int     // of the level that a ramp measures next; 0: there is none

	// What only a confident ramp has: what its rounds say together, with intervals; the reasons not
	// to trust the ramp as a whole; and the seed of the order in which it measured. Its levels are
	// ascending.
	Estimate *capacity.Estimate
	Doubts   Doubts
	Seed     uint64
	// Left is how long it goes on, as far as is known.
	Left time.Duration
	// Scalability is the model of the levels, or why there is none; nil: the ramp goes on.
	Scalability *capacity.Scalability
}

// Setting is one setting of the experiment, as the user would set it.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Machine describes a machine.
type Machine struct {
	Host string `json:"host"`
	OS   string `json:"os"`
	Arch string `json:"arch"`
	CPU  string `json:"cpu"`  // model; empty: not known
	CPUs int    `json:"cpus"` // that the injector may use
}

// Stop says why a ramp ended.
type Stop struct {
	Reason capacity.StopReason
	Detail string // for people: what the reason was found from
}

// Level is what one injection at a number of VUs measured.
type Level struct {
	inject.Measurement
	Accepted  bool   // by the stop rule; a level that ended the ramp is not
	Partial   bool   // cut short: its window is shorter than was asked for
	ServerCPU *CPU   // of the server; nil: not known
	ClientCPU *CPU   // of the injector
	Stolen    *CPU   // processor time that the machine was kept from using; nil: could not be known
	Others    *CPU   // processor time of processes that are neither server nor injector; nil: could not be known
	Doubts    Doubts // reasons not to trust the level

	// What only a level of a confident ramp has, which is measured in many windows. Lower and Upper
	// hold the throughput of another ramp right after this one in 95 % of cases; 0: not known.
	Lower, Upper float64
	Rounds       []Round
	Samples      []Level // each of windows that followed each other; no file keeps them

	// NoServerCPU says why ServerCPU is not known; empty: it is, or nobody asked.
	NoServerCPU string

	// StartSkew is how much later than at the instant that was asked for the starting gun was
	// fired; nil: none was.
	StartSkew *time.Duration
	// Clients are the levels of the clients that [Merge] made this level of; nil: one client
	// measured it.
	Clients []Level
}

// Round is one window of a level.
type Round struct {
	Round      int           // number, from 1; other levels were measured in the same one
	At         time.Duration // when it began, since the ramp did
	Length     time.Duration // of its timed part
	Requests   uint64
	Throughput float64 // requests per second
	P95        time.Duration
}

// Throughput is successful requests per second of the window; of several clients the sum, each over
// its own window.
func (l Level) Throughput() float64 {
	if len(l.Clients) == 0 {
		return l.Measurement.Throughput()
	}
	var sum float64
	for _, c := range l.Clients {
		sum += c.Throughput()
	}
	return sum
}

// CPU is processor time that was used while real time passed.
type CPU struct {
	Used    time.Duration
	Elapsed time.Duration
}

// Cores is how many processors were busy on average.
func (c CPU) Cores() float64 { return c.Used.Seconds() / c.Elapsed.Seconds() }

// PerRequest is the processor time for one request at a throughput in requests per second.
func (c CPU) PerRequest(throughput float64) time.Duration {
	if throughput == 0 {
		return 0
	}
	return time.Duration(c.Cores() / throughput * float64(time.Second))
}

// Doubt is a reason not to trust a level.
type Doubt struct {
	Kind string `json:"kind"` // one word for tools
	Text string `json:"text"` // a sentence for people
}

// Doubts are all doubts of a level. The zero value: none.
type Doubts []Doubt

// Accepted returns the levels that the stop rule accepted; where there was none, all that were not
// cut short.
func (r Result) Accepted() []Level {
	var accepted []Level
	for _, l := range r.Levels {
		if l.Accepted || r.Kind == KindLevels && !l.Partial {
			accepted = append(accepted, l)
		}
	}
	return accepted
}

// Capacity returns the accepted level with the highest throughput, and false where there is none.
// What a confident ramp finds to be the capacity is in its Estimate: the highest of what scatters
// is too high.
func (r Result) Capacity() (Level, bool) {
	var best Level
	for _, l := range r.Accepted() {
		if r.Estimate != nil {
			if l.VUs == r.Estimate.VUs {
				return l, true
			}
			continue
		}
		if l.Throughput() > best.Throughput() {
			best = l
		}
	}
	return best, best.VUs > 0
}

// CapacityThroughput is the capacity in requests per second; 0: there is none.
func (r Result) CapacityThroughput() float64 {
	best, ok := r.Capacity()
	if ok && r.Estimate != nil {
		return r.Estimate.Throughput
	}
	return best.Throughput()
}

// Knee returns the VUs of the level from which more VUs gave no significantly higher throughput,
// and false where the ramp ended for another reason before it got there.
func (r Result) Knee() (int, bool) {
	if r.Estimate != nil {
		return r.Estimate.Knee, r.Estimate.Knee > 0
	}
	accepted := r.Accepted()
	if r.Stop.Reason != capacity.Knee || len(accepted) == 0 {
		return 0, false
	}
	return accepted[len(accepted)-1].VUs, true
}
