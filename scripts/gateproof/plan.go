package main

import (
	"fmt"
	"math/rand/v2"
)

// kind is what a candidate is, beside what it has to do for a request.
type kind string

const (
	same      kind = ""          // the same file
	commented kind = "commented" // built again from sources with one more comment in each file
	renamed   kind = "renamed"   // the same file under a longer name
)

// trial is one comparison to be made.
type trial struct {
	Kind      kind
	Loss      float64 // of throughput, a fraction; negative: the candidate is faster
	Neighbour bool    // beside one that burns CPU
	Usual     bool    // all of the old, then all of the new
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
	return fmt.Sprintf("%s, %+.1f %% throughput", how, -100*t.Loss)
}

// plan is what has to be compared, and from which draws in which order.
type plan struct {
	N, Usual, Blocks int
	Seed             uint64
}

// trials lists n duels without a difference, n with a loss of 5 %, and a sixth of n for each other loss and for each candidate
// that differs only in its file; half of all beside a neighbour. And so many comparisons the usual way. Their order is drawn, so
// that an hour of bad weather hits all kinds alike.
func (p plan) trials() []trial {
	var all []trial
	add := func(count int, t trial) {
		for i := range count {
			t.Neighbour = i%2 == 1
			all = append(all, t)
		}
	}
	for _, loss := range []float64{0, 0.05} {
		add(p.N, trial{Loss: loss})
		add(p.Usual, trial{Loss: loss, Usual: true})
	}
	few := (p.N + 5) / 6
	for _, loss := range []float64{0.01, 0.015, 0.02, 0.03, 0.1, -0.05} {
		add(few, trial{Loss: loss})
	}
	for _, k := range []kind{commented, renamed} {
		add(few, trial{Kind: k})
	}
	rand.New(rand.NewPCG(p.Seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}
