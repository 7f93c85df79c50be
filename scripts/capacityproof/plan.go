package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"rampart/loadtest"
)

// Servers.
const (
	bundled = "bundled"
	flask   = "flask"
)

// plan is how much is measured, and from which everything is drawn.
type plan struct {
	N        int
	Duration time.Duration
	Servers  []string
	Seed     uint64
}

// flags are those that say it, but for the seed and the servers.
func (p plan) flags() string { return fmt.Sprintf("-n %d -duration %v", p.N, p.Duration) }

// beginning is what the outcomes of a proof have in common.
type beginning struct {
	Plan   plan
	Trials []trial
}

// trial is one ramp.
type trial struct {
	Server    string
	Neighbour bool
	Rule      string
}

func (t trial) String() string {
	beside := ""
	if t.Neighbour {
		beside = " beside a neighbour"
	}
	return fmt.Sprintf("%s ramp of the server %s%s", t.Rule, t.Server, beside)
}

// trials lists the ramps: all of one server with a neighbour or without follow each other, because
// an interval speaks of the next ramp; which rule comes first of two is drawn.
func (p plan) trials() (all []trial) {
	random := rand.New(rand.NewPCG(p.Seed, 0))
	for _, server := range p.Servers {
		for _, neighbour := range []bool{false, true} {
			for range p.N {
				pair := []trial{{server, neighbour, loadtest.RuleConfident}, {server, neighbour, loadtest.RuleClassic}}
				if random.IntN(2) == 1 {
					pair[0], pair[1] = pair[1], pair[0]
				}
				all = append(all, pair...)
			}
		}
	}
	return all
}

// usualLevels is how many levels a classic ramp is expected to have before one was seen.
const usualLevels = 3

// window is how long the levels of a ramp are: of a classic one so that all of it takes as long as
// the confident ones, of the same server and with the same neighbours, took on average.
func (p plan) window(t trial, past []outcome) time.Duration {
	if t.Rule == loadtest.RuleConfident {
		return p.Duration
	}
	seconds, confident, levels, classic := 0.0, 0, 0, 0
	for _, o := range past {
		switch {
		case o.Server != t.Server || o.Neighbour != t.Neighbour:
		case o.Rule == loadtest.RuleConfident:
			seconds += o.Seconds
			confident++
		default:
			levels += len(o.Levels)
			classic++
		}
	}
	if confident == 0 {
		return 3 * p.Duration
	}
	perRamp := float64(usualLevels)
	if classic > 0 {
		perRamp = float64(levels) / float64(classic)
	}
	each := seconds / float64(confident) / perRamp // with its warm-up
	return max(time.Duration(each/(1+1/warmups)*float64(time.Second)), p.Duration).Round(time.Millisecond)
}

// warmups is how many warm-ups a window is long, as by default.
const warmups = 10.0
