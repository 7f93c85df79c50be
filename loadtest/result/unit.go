package result

import (
	"math"
	"slices"
)

// Metric is a value with a unit of the Go benchmark format.
type Metric struct {
	Value float64
	Unit  string
}

// Unit is a unit that a result may have.
type Unit struct{ Name, Better string } // Better: higher or lower

// BodySize is the unit of how long answers are on average. Neither more nor less of it is better:
// the answers of both sides of a duel are to be alike, since a wrong answer is a fast one.
const BodySize = "body-B/op"

// MemorySize is the unit of how much memory a server of a duel held at most in a block.
const MemorySize = "server-mem-bytes"

// Units are all of them.
func Units() []Unit {
	return []Unit{
		{"ns/op", "lower"},
		{"req/s", "higher"},
		{"p50-ns", "lower"},
		{"p95-ns", "lower"},
		{"p99-ns", "lower"},
		{"slow/op", "lower"},
		{"server-cpu-ns/op", "lower"},
		{"client-cpu-ns/op", "lower"},
		{MemorySize, "lower"},
		{RequestP50, "lower"},
		{"knee-vus", "higher"},
	}
}

// duelUnit is a unit that duels measure. It is also among [Units].
type duelUnit struct {
	name   string
	fewest uint64 // requests of each side in the first block that make it worth judging unasked
	weaker bool   // another unit says the same with more power: it is judged only if somebody asks
	// values are those of both sides in each of the blocks, NaN where it cannot be known. All
	// requests of these blocks succeeded.
	values func([]Block) [][2]float64
}

// fewestForTail is how many requests of a block make its tail worth judging: about ten are among
// the slowest hundredth.
const fewestForTail = 1000

var duelUnits = []duelUnit{
	{"req/s", 0, false, each(func(s Side) float64 { return s.Throughput() })},
	{"server-cpu-ns/op", 0, false, each(func(s Side) float64 {
		if s.ServerCPU == nil || s.ServerCPU.Used == 0 || s.Completed == 0 {
			return math.NaN()
		}
		return float64(s.ServerCPU.Used) / float64(s.Completed)
	})},
	{"p50-ns", 0, false, each(func(s Side) float64 { return float64(s.Quantile(0.50)) })},
	{"slow/op", fewestForTail, false, slowShares},
	{BodySize, 0, false, each(func(s Side) float64 { return float64(s.Bodies) / float64(s.Completed) })},
	{"p99-ns", 0, true, each(func(s Side) float64 { return float64(s.Quantile(0.99)) })},
	{MemorySize, 0, false, each(func(s Side) float64 {
		if s.Memory == nil || s.Memory.Peak <= 0 {
			return math.NaN()
		}
		return float64(s.Memory.Peak)
	})},
}

// each makes the values of blocks out of those of their sides.
func each(value func(Side) float64) func([]Block) [][2]float64 {
	return func(blocks []Block) [][2]float64 {
		values := make([][2]float64, len(blocks))
		for i, b := range blocks {
			values[i] = [2]float64{value(b.Sides[0]), value(b.Sides[1])}
		}
		return values
	}
}

// DuelUnits are the units that a duel measures.
func DuelUnits() []string {
	var all []string
	for _, u := range duelUnits {
		all = append(all, u.name)
	}
	return append(all, RequestP50)
}

// Choose chooses the units of the plan by the first block: those that are asked, or where that is
// nil all that can be known, have enough requests, and are not said better by another. All blocks
// make about as many, and what a block says of how many there are says nothing of which side is
// slower.
func (p *Plan) Choose(asked []string, first Block) {
	p.Units, p.Omitted = []string{}, nil
	requests := min(first.Sides[0].Requests, first.Sides[1].Requests)
	for _, u := range duelUnits {
		values := u.values([]Block{first})[0]
		_, wanted := p.Margins[u.name] // who says a margin wants it judged
		wanted = wanted || slices.Contains(p.Require, u.name)
		switch {
		case u.name == BodySize && p.AnyAnswer:
			p.Omitted = append(p.Omitted, Omitted{u.name, NotAsked})
		case u.name == BodySize: // whatever else is asked
			p.Units = append(p.Units, u.name)
		case asked != nil && slices.Contains(asked, u.name), slices.Contains(p.Require, u.name):
			p.Units = append(p.Units, u.name)
		case asked != nil:
			p.Omitted = append(p.Omitted, Omitted{u.name, NotAsked})
		case math.IsNaN(values[0]) || math.IsNaN(values[1]):
			p.Omitted = append(p.Omitted, Omitted{u.name, Unknown})
		case u.weaker && !wanted:
			p.Omitted = append(p.Omitted, Omitted{u.name, Weaker})
		case requests < u.fewest && !wanted:
			p.Omitted = append(p.Omitted, Omitted{u.name, Few})
		default:
			p.Units = append(p.Units, u.name)
		}
	}
	_, wanted := p.Margins[RequestP50]
	wanted = wanted || slices.Contains(p.Require, RequestP50) || slices.Contains(asked, RequestP50)
	switch {
	case len(first.Sides[0].Asked) == 0 && wanted: // of which the verdict says that there are none
		p.Units, p.Requests = append(p.Units, RequestP50), nil
	case asked != nil && !wanted:
		p.leaveRequests(first)
	default:
		p.chooseRequests(wanted, first)
	}
}
