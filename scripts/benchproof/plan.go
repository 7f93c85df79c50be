package main

import (
	"fmt"
	"math/rand/v2"
)

// plan is how much is compared, and from which everything is drawn.
type plan struct {
	Equals, N, Usual int
	Seed             uint64
}

// flags are those that say it, but for the seed.
func (p plan) flags() string {
	return fmt.Sprintf("-equals %d -n %d -usual %d", p.Equals, p.N, p.Usual)
}

// beginning is what the outcomes of a proof have in common.
type beginning struct {
	Plan   plan
	Trials []trial
}

// name is a benchmark.
type name struct{ Package, Benchmark string }

// trial is one comparison to be made.
type trial struct {
	name
	More      float64 // per cent more work of the candidate
	Neighbour bool    // beside one that burns CPU
	Usual     bool    // all of the old, then all of the new
}

func (t trial) String() string {
	how := "duel"
	if t.Usual {
		how = "usual way"
	}
	if t.Neighbour {
		how += " beside a neighbour"
	}
	return fmt.Sprintf("%s of %s %s, %g %% more work", how, t.Package, t.Benchmark, t.More)
}

// ours are the benchmarks of which there are slower versions.
const ours = "rampart/scripts/benchproof/work"

// trials lists duels of as many benchmarks of the standard library with themselves as are asked
// for, drawn from all, and duels of ours with versions that do more work, half of all beside a
// neighbour. And so many comparisons the usual way. Their order is drawn, so that an hour of bad
// weather hits all kinds alike.
func (p plan) trials(names []name) (all []trial) {
	random := rand.New(rand.NewPCG(p.Seed, 0))
	var others, own []name
	for _, n := range names {
		if n.Package == ours {
			own = append(own, n)
		} else {
			others = append(others, n)
		}
	}
	random.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	add := func(count int, from []name, t trial) {
		for i := range count {
			t.name, t.Neighbour = from[i/2%len(from)], i%2 == 1
			all = append(all, t)
		}
	}
	// Each benchmark of others is compared once, as long as there are enough.
	for i := range p.Equals {
		all = append(all, trial{name: others[i%len(others)], Neighbour: i%2 == 1})
	}
	add(p.N, own, trial{More: 5})
	add((p.N+2)/3, own, trial{More: 3})
	add((p.N+2)/3, own, trial{More: 10})
	add(p.Usual, others, trial{Usual: true})
	add(p.Usual, own, trial{Usual: true, More: 5})
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}
