package gobench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"rampart/loadtest/host"
	"rampart/loadtest/result"
)

// contest is a benchmark that both sides have, and how it is measured.
type contest struct {
	suite *Suite
	name  string // without the number of processors
	procs int
	setting
}

func (c contest) String() string {
	return strings.TrimSpace(c.suite.Package + " " + printedName(c.name, c.procs))
}

// sideError is an error of one side.
type sideError struct {
	side int
	err  error
}

func (e sideError) Error() string { return "the " + result.SideNames[e.side] + ": " + e.err.Error() }
func (e sideError) Unwrap() error { return e.err }

// block runs fresh processes of both sides, in random order, and lets them take turns in pairs
// whose order is drawn.
func (d Duel) block(ctx context.Context, c contest, number int) (b result.BenchBlock, err error) {
	random := rand.New(rand.NewPCG(d.Seed, hash(c.suite.Package, printedName(c.name, c.procs), number)))
	b = result.BenchBlock{Number: number, CandidateFirst: random.IntN(2) == 1, Layouts: c.suite.layouts(number)}
	var binaries [2]Binary
	for side := range binaries {
		if binaries[side], err = c.suite.Sides[side].binary(ctx, b.Layouts[side]); err != nil {
			return b, sideError{side, err}
		}
	}
	begun := time.Now()
	first := 0
	if b.CandidateFirst {
		first = 1
	}
	cpu := -1
	if c.serial && len(d.cpus) > 0 {
		cpu = d.cpus[random.IntN(len(d.cpus))]
	}
	t := turns{contest: c, timeout: d.Timeout, cpu: cpu, binaries: binaries}
	defer t.close()
	if holds {
		err = t.interleaved(ctx, first, random)
	} else {
		err = t.oneByOne(ctx, first)
	}
	if err != nil {
		return b, err
	}
	for side, m := range t.measured {
		b.Sides[side] = mean(m)
	}
	b.Took = time.Since(begun).Round(time.Millisecond)
	return b, nil
}

// hash makes a number of what a block is.
func hash(pkg, name string, number int) uint64 {
	h := uint64(14695981039346656037) // FNV-1a
	for _, b := range []byte(fmt.Sprintf("%s %s %d", pkg, name, number)) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h
}

// turns is how the sides of a block take them.
type turns struct {
	contest
	timeout   time.Duration
	cpu       int // that both use; negative: all
	binaries  [2]Binary
	processes [2]*process
	measured  [2][]Measurement
}

func (t *turns) close() {
	for _, p := range t.processes {
		if p != nil {
			p.close()
		}
	}
}

func (t *turns) start(side int) (err error) {
	count := t.warm + t.pairs
	t.processes[side], err = startProcess(t.binaries[side], task{t.name, t.procs, t.iterations, count}, t.timeout)
	if err != nil {
		return sideError{side, err}
	}
	if t.cpu >= 0 {
		if err := t.processes[side].pin(t.cpu); err != nil {
			return err
		}
	}
	return nil
}

// measure measures once; what warms up is forgotten.
func (t *turns) measure(ctx context.Context, side int, keep bool) error {
	m, err := t.processes[side].next(ctx)
	if err != nil {
		return sideError{side, err}
	}
	if keep {
		t.measured[side] = append(t.measured[side], m)
	}
	return nil
}

// interleaved lets both take turns. A process that was started measures at once, so the other one
// starts when it is held.
func (t *turns) interleaved(ctx context.Context, first int, random *rand.Rand) error {
	for _, side := range [2]int{first, 1 - first} {
		if err := t.start(side); err != nil {
			return err
		}
		if err := t.measure(ctx, side, t.warm == 0); err != nil {
			return err
		}
	}
	for range t.warm + t.pairs - 1 {
		first := random.IntN(2)
		for _, side := range [2]int{first, 1 - first} {
			if err := t.measure(ctx, side, true); err != nil {
				return err
			}
		}
	}
	for side, p := range t.processes {
		if err := p.finish(ctx); err != nil {
			return sideError{side, err}
		}
	}
	return nil
}

// oneByOne lets one measure all and then the other.
func (t *turns) oneByOne(ctx context.Context, first int) error {
	for _, side := range [2]int{first, 1 - first} {
		if err := t.start(side); err != nil {
			return err
		}
		for i := range t.warm + t.pairs {
			if err := t.measure(ctx, side, i >= t.warm); err != nil {
				return err
			}
		}
		if err := t.processes[side].finish(ctx); err != nil {
			return sideError{side, err}
		}
	}
	return nil
}

// mean is what a block says: all measurements have as many iterations, so their mean time is that
// of all together. So is the harmonic mean of a rate. Nothing is dropped: what takes long now and
// then is the benchmark's own, or comes to both sides alike.
func mean(all []Measurement) (metrics []result.Metric) {
	for _, m := range all {
		for _, x := range m.Metrics {
			known := false
			for _, have := range metrics {
				known = known || have.Unit == x.Unit
			}
			if !known {
				metrics = append(metrics, result.Metric{Unit: x.Unit})
			}
		}
	}
	for i := range metrics {
		sum, n, rate := 0.0, 0.0, strings.HasSuffix(metrics[i].Unit, "/s")
		for _, m := range all {
			x, ok := m.Find(metrics[i].Unit)
			if !ok {
				continue
			}
			if rate {
				x = 1 / x
			}
			sum, n = sum+x, n+1
		}
		if metrics[i].Value = sum / n; rate {
			metrics[i].Value = n / sum
		}
		if math.IsInf(metrics[i].Value, 0) {
			metrics[i].Value = math.NaN()
		}
	}
	return metrics
}

// probe measures a benchmark with so many iterations, on the baseline's side, with all processors.
func (d Duel) probe(ctx context.Context, c contest, iterations int, long bool) (p probe, err error) {
	binary, err := c.suite.Sides[0].binary(ctx, c.suite.layouts(1)[0])
	if err != nil {
		return p, sideError{0, err}
	}
	count := 3
	if long {
		count = 1
	}
	begun := time.Now()
	process, err := startProcess(binary, task{c.name, c.procs, iterations, count}, d.Timeout)
	if err != nil {
		return p, sideError{0, err}
	}
	defer process.close()
	p = probe{iterations: iterations, each: math.Inf(1), wall: math.MaxInt64, cpu: math.NaN()}
	var cpu, wall time.Duration
	for i := range count {
		before, err1 := host.ProcessCPU(process.cmd.Process.Pid)
		if i > 0 {
			begun = time.Now()
		} else {
			before, err1 = 0, nil
		}
		m, err := process.next(ctx)
		if err != nil {
			return p, sideError{0, err}
		}
		took := time.Since(begun)
		ns, ok := m.Find("ns/op")
		if !ok {
			ns = float64(took) / float64(m.Iterations)
		}
		p.bytes, _ = m.Find("B/op")
		if i == 0 && count > 1 {
			continue
		}
		p.each, p.wall = min(p.each, ns), min(p.wall, took)
		if after, err2 := host.ProcessCPU(process.cmd.Process.Pid); err1 == nil && err2 == nil {
			cpu, wall = cpu+after-before, wall+took
		}
	}
	if wall > 0 {
		p.cpu = cpu.Seconds() / wall.Seconds()
	}
	if err := process.finish(ctx); err != nil {
		return p, sideError{0, err}
	}
	return p, nil
}

// mostProbes bounds how long a benchmark is tried before it is measured.
const mostProbes = 12

// calibrate finds out how to measure a benchmark, from what one iteration did.
func (d Duel) calibrate(ctx context.Context, c contest, listed probe) (setting, error) {
	var probes []probe
	long := listed.each > float64(d.side)
	for len(probes) < mostProbes {
		n := lengthen(listed, probes)
		if n == 0 && len(probes) > 0 {
			break
		}
		p, err := d.probe(ctx, c, max(n, 1), long)
		if err != nil {
			return setting{}, err
		}
		if probes = append(probes, p); long {
			break
		}
	}
	return settle(chosen(probes), d.side), nil
}
