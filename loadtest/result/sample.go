package result

import (
	"math"

	"rampart/loadtest/inject"
	"rampart/loadtest/slo"
)

// Sample is what one side of a block is to a verdict. Its file and its judge have no other.
type Sample struct {
	Block     int
	Succeeded uint64
	Failed    inject.Failures
	Statuses  map[string]uint64 // complete answers by status; nil: not known
	Doubt     string            // why not to trust it; empty: nothing is known against it
	Requests  uint64            // that were timed
	Limits    []Limit           // what it was in each objective of the plan's SLO; nil: there is none
	Asked     []AskedSample     // of each request of the plan
	// Metrics are nil where a request of the block failed, on whichever side: what failed took no
	// usual time. A unit that could not be known is missing.
	Metrics []Metric
}

// Limit is what one side of a block was in an objective.
type Limit struct {
	Value       float64 // seconds, or of failures a share
	Part, Whole float64 // see [slo.Objective.Share]
}

// Samples are those of one side, in the order of the blocks. The first metric is ns/op, the
// reciprocal of req/s, for tools that only know that smaller is better.
func (d Duel) Samples(side int) []Sample {
	var whole []Block
	for _, b := range d.Blocks {
		if b.Whole() {
			whole = append(whole, b)
		}
	}
	metrics := make([][]Metric, len(whole))
	for _, u := range duelUnits {
		for i, values := range u.values(whole) {
			x := values[side]
			if math.IsNaN(x) || math.IsInf(x, 0) {
				continue
			}
			if u.name == "req/s" {
				metrics[i] = append(metrics[i], Metric{1e9 / x, "ns/op"})
			}
			metrics[i] = append(metrics[i], Metric{x, u.name})
		}
	}
	objectives, _ := slo.Parse(d.Plan.SLO) // of a plan that cannot be read, nothing is judged
	var samples []Sample
	cold := d.coldDoubts(side)
	for i, b := range d.Blocks {
		s := b.Sides[side]
		sample := Sample{Block: b.Number, Succeeded: s.Completed, Failed: s.Failures, Doubt: s.Doubt(), Requests: s.Requests,
			Statuses: s.Answers.Statuses()}
		if sample.Doubt == "" {
			sample.Doubt = cold[i]
		}
		for _, o := range objectives {
			part, whole, _ := o.Share(s.Measurement)
			sample.Limits = append(sample.Limits, Limit{o.Value(s.Measurement), part, whole})
		}
		sample.Asked = d.Plan.askedSamples(s, b.Whole())
		if b.Whole() {
			sample.Metrics, metrics = metrics[0], metrics[1:]
		}
		samples = append(samples, sample)
	}
	return samples
}
