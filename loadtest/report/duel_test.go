package report

import (
	"bytes"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
	"rampart/loadtest/verdict"
)

// duel makes a duel of n blocks whose candidate takes a factor longer, give or take a per mille from block to block.
func duel(n int, factor float64) Duel {
	d := Duel{
		Version: "v1.2.3", Started: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), Baseline: "./old {addr}", Candidate: "./new {addr}",
		Target: "/?it1=60000&it2=1", Machine: Machine{Host: "client", OS: "linux", Arch: "amd64", CPU: "Model 1", CPUs: 2},
		Seed: 42, VUs: 2, Slice: time.Millisecond,
	}
	for i := range n {
		b := Block{Number: i + 1}
		for side := range b.Sides {
			p50 := time.Millisecond + time.Duration((7*i+3*side)%5)*time.Microsecond
			if side == 1 {
				p50 = time.Duration(float64(p50) * factor)
			}
			l := level(2, 1000, p50)
			b.Sides[side] = Side{Measurement: l.Measurement, Kept: inject.Slice{Requests: 1000, Busy: 1000 * p50}, ServerCPU: &CPU{
				Used: 900 * p50, Elapsed: time.Second,
			}}
		}
		d.Blocks = append(d.Blocks, b)
	}
	return d
}

func TestDuelGolden(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2)) // it is part of a benchmark's name
	d := duel(3, 1.05)
	d.Blocks[1].Sides[1].Failures[inject.Reset] = 4
	d.Blocks[2].Sides[0].Strain.Busy = 0.95
	for side, name := range SideNames {
		var b bytes.Buffer
		require.NoError(t, DuelBench(&b, d, side))
		golden(t, "duel."+name+".txt", b.Bytes())
	}
	d.Judge(verdict.Rule{Alpha: 0.05}, nil, nil)
	var b bytes.Buffer
	require.NoError(t, DuelJSON(&b, d))
	golden(t, "duel.json", b.Bytes())

	// With bounds, which take five blocks.
	d = duel(6, 1.05)
	d.Judge(verdict.Rule{Alpha: 0.05}, []string{"req/s"}, nil)
	row := newDuelRow(d.Rows[0])
	require.InDelta(t, -0.0476, row.Change, 0.001)
	require.Less(t, *row.Lowest, *row.Highest)
	require.InDelta(t, -0.03, row.Allowed, 1e-9)
}

func TestDuelJudge(t *testing.T) {
	rule := verdict.Rule{Alpha: 0.05}
	for name, tt := range map[string]struct {
		factor  float64
		blocks  int
		change  func(*Duel)
		units   []string
		margins map[string]float64
		want    verdict.Verdict
	}{
		"equal":               {factor: 1, blocks: 8, want: verdict.Pass},
		"faster":              {factor: 0.9, blocks: 8, want: verdict.Pass},
		"slower":              {factor: 1.1, blocks: 8, want: verdict.Regressed},
		"slower, but allowed": {factor: 1.1, blocks: 8, units: []string{"req/s"}, margins: map[string]float64{"req/s": 0.2}, want: verdict.Pass},
		"slower, not asked":   {factor: 1.1, blocks: 8, units: []string{}, want: verdict.Inconclusive},
		"too few":             {factor: 1, blocks: 3, want: verdict.Inconclusive},
		"none":                {factor: 1, blocks: 0, want: verdict.Inconclusive},
		"one failed": {factor: 1, blocks: 9, change: func(d *Duel) { d.Blocks[4].Sides[0].Failures[inject.EOF] = 1 },
			want: verdict.Inconclusive},
		"slower, and one failed": {factor: 1.1, blocks: 9, change: func(d *Duel) { d.Blocks[4].Sides[1].Failures[inject.EOF] = 1 },
			want: verdict.Regressed},
		"candidate fails": {factor: 1, blocks: 8, change: func(d *Duel) {
			for i := range d.Blocks {
				d.Blocks[i].Sides[1].Failures[inject.Status] = 20
			}
		}, want: verdict.Regressed},
		"both fail": {factor: 1, blocks: 8, change: func(d *Duel) {
			for i := range d.Blocks {
				d.Blocks[i].Sides[0].Failures[inject.Status] = 20
				d.Blocks[i].Sides[1].Failures[inject.EOF] = 20
			}
		}, want: verdict.Inconclusive},
		"injector saturated": {factor: 1, blocks: 8, change: func(d *Duel) { d.Blocks[0].Sides[0].Strain.Busy = 0.91 },
			want: verdict.Inconclusive},
		"no server CPU": {factor: 1, blocks: 8, change: func(d *Duel) { d.Blocks[0].Sides[0].ServerCPU = nil }, want: verdict.Pass},
	} {
		t.Run(name, func(t *testing.T) {
			d := duel(tt.blocks, tt.factor)
			if tt.change != nil {
				tt.change(&d)
			}
			d.Judge(rule, tt.units, tt.margins)
			require.Equal(t, tt.want, d.Verdict)
			if tt.units == nil && name == "no server CPU" {
				require.Len(t, d.Rows, 3)
			}
		})
	}
}

func TestDuelLine(t *testing.T) {
	d := duel(8, 1.05)
	d.Blocks[7].Sides[1].Failures[inject.EOF] = 2
	d.Judge(verdict.Rule{Alpha: 0.05}, []string{"req/s", "p50-ns"}, nil)
	require.Regexp(t, `^block 8: req/s -4\.\d % \(-\d\.\d to -\d\.\d\), p50-ns \+5\.\d % \(\+\d\.\d to \+\d\.\d\), candidate: 2 requests failed \(eof 2\)$`,
		DuelLine(d))
}
