package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
)

// kind is what a candidate is, beside what it has to do for a request.
type kind string

const (
	same      kind = ""          // the same file
	commented kind = "commented" // built again from sources with one more comment in each file
	renamed   kind = "renamed"   // the same file under a longer name
)

// tail is what makes some requests of a candidate slow.
type tail struct {
	every int    // request of a process is slow
	sleep string // for how long, in Go; empty: it does tailWork times the work
}

// tailWork is how many times the work of a request a computing tail does.
const tailWork = 10

var tails = map[kind]tail{
	"every 40th sleeps":    {40, "30 * time.Millisecond"},
	"every 100th sleeps":   {100, "30 * time.Millisecond"},
	"every 40th computes":  {40, ""},
	"every 100th computes": {100, ""},
}

// trial is one comparison to be made.
type trial struct {
	Kind      kind
	Loss      float64 // of throughput, a fraction; negative: the candidate is faster
	Neighbour bool    // beside one that burns CPU
	Usual     bool    // all of the old, then all of the new
}

// hasTail reports whether some requests of the candidate are slow. What that costs in throughput
// is not known before.
func (t trial) hasTail() bool {
	_, ok := tails[t.Kind]
	return ok
}

func (t trial) String() string {
	how := "duel"
	if t.Usual {
		how = "usual way"
	}
	if t.Kind != same {
		how += ", " + string(t.Kind)
	}
	if t.Neighbour {
		how += " beside a neighbour"
	}
	if t.hasTail() {
		return how
	}
	return fmt.Sprintf("%s, %+.1f %% throughput", how, -100*t.Loss)
}

// plan is what has to be compared, and from which draws in which order.
type plan struct {
	N, Usual, Blocks int
	Seed             uint64
}

// flags are those that say it, but for the seed.
func (p plan) flags() string {
	return fmt.Sprintf("-n %d -usual %d -blocks %d", p.N, p.Usual, p.Blocks)
}

// trials lists first what the rates rest on: n duels without a difference, n with a loss of 5 %,
// and a fifteenth of n for each tail. Then come as many for each other loss and for each candidate
// that differs only in its file, and so many comparisons the usual way. Half of each kind are
// beside a neighbour. The order of either part is drawn, so that an hour of bad weather hits all
// its kinds alike.
func (p plan) trials() []trial {
	var all []trial
	add := func(count int, t trial) {
		for i := range count {
			t.Neighbour = i%2 == 1
			all = append(all, t)
		}
	}
	draw := func(trials []trial) {
		rand.New(rand.NewPCG(p.Seed, 0)).Shuffle(len(trials), func(i, j int) {
			trials[i], trials[j] = trials[j], trials[i]
		})
	}
	few := (p.N + 14) / 15
	add(p.N, trial{})
	add(p.N, trial{Loss: 0.05})
	for _, k := range slices.Sorted(maps.Keys(tails)) {
		add(few, trial{Kind: k})
	}
	draw(all)
	first := len(all)
	for _, loss := range []float64{0.01, 0.015, 0.02, 0.03, 0.1, -0.05} {
		add(few, trial{Loss: loss})
	}
	for _, k := range []kind{commented, renamed} {
		add(few, trial{Kind: k})
	}
	for _, loss := range []float64{0, 0.05} {
		add(p.Usual, trial{Loss: loss, Usual: true})
	}
	draw(all[first:])
	return all
}
