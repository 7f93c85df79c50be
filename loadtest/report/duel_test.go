package report

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/gate"
	"rampart/loadtest/inject"
	"rampart/loadtest/result"
)

// duel makes a duel of n blocks whose candidate takes a factor longer, give or take a per mille
// from block to block.
func duel(n int, factor float64) result.Duel {
	d := result.Duel{
		Version: "v1.2.3", Started: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), Baseline: "./old {addr}",
		Candidate: "./new {addr}",
		Target:    "/?it1=60000&it2=1", Machine: result.Machine{Host: "client", OS: "linux", Arch: "amd64", CPU: "Model 1",
			CPUs: 2},
		Seed: 42, VUs: 2, Slice: time.Millisecond,
		Plan: result.Plan{Looks: []int{n}, Alpha: 0.05, Units: []string{"req/s", "server-cpu-ns/op", "p50-ns", "p99-ns"}},
	}
	for i := range n {
		b := result.Block{Number: i + 1}
		for side := range b.Sides {
			p50 := time.Millisecond + time.Duration((7*i+3*side)%5)*time.Microsecond
			if side == 1 {
				p50 = time.Duration(float64(p50) * factor)
			}
			l := level(2, 1000, p50)
			b.Sides[side] = result.Side{Measurement: l.Measurement, ServerCPU: &result.CPU{
				Used: 900 * p50, Elapsed: time.Second,
			}}
		}
		d.Blocks = append(d.Blocks, b)
	}
	return d
}

func TestDuelGolden(t *testing.T) {
	d := duel(3, 1.05)
	d.Plan.Margins = map[string]float64{"req/s": 0.02}
	d.Plan.Units, d.Plan.Omitted = []string{"req/s", "server-cpu-ns/op", "p50-ns"},
		[]result.Omitted{{Unit: "p99-ns", Why: result.Weaker}}
	d.Blocks[1].Sides[1].Failures[inject.Reset] = 4
	d.Blocks[2].Sides[0].Strain.Busy = 0.95
	for i := range d.Blocks {
		half := d.Blocks[i].Sides[0]
		d.Blocks[i].Sides[0].FirstHalf = &result.Part{Requests: 500, Busy: half.LatencySum / 2, CPU: half.ServerCPU.Used / 2}
		d.Blocks[i].Sides[0].Warmth = result.Warmth{Load: 220 * time.Millisecond}
		d.Blocks[i].Sides[1].Warmth = result.Warmth{Load: 230 * time.Millisecond, Steady: 80 * time.Millisecond}
	}
	d.Plan.Units = append(d.Plan.Units, result.RequestP50)
	d.Plan.Requests = []result.PlannedRequest{
		{Name: "GET /a?q={seq}"},
		{Name: "POST /b"},
		{Name: "GET /c", Why: result.Few},
	}
	for i := range d.Blocks {
		for side := range d.Blocks[i].Sides {
			for k, r := range d.Plan.Requests {
				d.Blocks[i].Sides[side].Asked = append(d.Blocks[i].Sides[side].Asked, inject.Asked{
					Name: r.Name, Requests: uint64(500 / (k + 1)), Completed: uint64(550 / (k + 1)),
					LatencySum: 600 * time.Millisecond,
					P50:        time.Millisecond + time.Duration(i+5*side)*time.Microsecond,
				})
			}
		}
	}
	d.Blocks[1].Sides[1].Asked[1].Failures[inject.Reset] = 4
	d.Blocks[0].Sides[1].Warmth = result.Warmth{
		Load: 10 * time.Second, Steady: 6 * time.Second,
		Cold: "the processor time of a request fell by 7 % in the last 3.3s of load",
	}
	d.Baseline = "./old \\\n# rampart duel seed=1\r\nBenchmarkDuel/vus=2-2 1 1 req/s {addr}"
	for side, name := range result.SideNames {
		var b bytes.Buffer
		require.NoError(t, DuelBench(&b, d, side))
		golden(t, "duel."+name+".txt", b.Bytes())
	}
	var b bytes.Buffer
	require.NoError(t, DuelJSON(&b, d, gate.JudgeDuel(d)))
	golden(t, "duel.json", histogram.ReplaceAll(b.Bytes(), []byte(`"histogram_us": "…"`)))
}

func TestDuelLine(t *testing.T) {
	d := duel(8, 1.05)
	d.Blocks[7].Sides[1].Failures[inject.EOF] = 2
	d.Plan.Units = []string{"req/s", "p50-ns"}
	require.Regexp(t, `^block 8: req/s -4\.\d % \(-\d\.\d to -\d\.\d\), p50-ns \+5\.\d % \(\+\d\.\d to \+\d\.\d\), `+
		`candidate: 2 requests failed \(eof 2\)$`,
		DuelLine(d, gate.JudgeDuel(d)))
	d.Blocks[7].Sides[1].Failures[inject.EOF] = 0
	d.Blocks[7].Sides[0].Warmth.Load, d.Blocks[7].Sides[1].Warmth.Load = 900*time.Millisecond, 800*time.Millisecond
	require.NotContains(t, DuelLine(d, gate.JudgeDuel(d)), "warm-up")
	d.Blocks[7].Sides[0].Warmth.Load = 4250 * time.Millisecond
	require.Regexp(t, `\), warm-up of 4\.\d s a side$`, DuelLine(d, gate.JudgeDuel(d)))
	d.Blocks[7].Sides[1].Warmth.Cold = "it falls"
	require.Contains(t, DuelLine(d, gate.JudgeDuel(d)), ", and still cold: the candidate")
	few := duel(3, 1.05)
	require.Contains(t, DuelLine(few, gate.JudgeDuel(few)), "block 3: req/s -4.7 %, ")
}

// TestDuelLineOfManyRequests holds that the line says which request is the worst, and not all of
// them.
func TestDuelLineOfManyRequests(t *testing.T) {
	d := duel(8, 1.05)
	for i := range d.Blocks {
		for side := range d.Blocks[i].Sides {
			for k := range 30 {
				a := inject.Asked{Name: fmt.Sprintf("GET /%d", k), Requests: 500, Completed: 500, P50: time.Millisecond}
				if side == 1 && k == 17 {
					a.P50 *= 2
				}
				d.Blocks[i].Sides[side].Asked = append(d.Blocks[i].Sides[side].Asked, a)
			}
		}
	}
	d.Plan.Choose([]string{"req/s", result.RequestP50}, d.Blocks[0])
	require.Contains(t, DuelLine(d, gate.JudgeDuel(d)), ", most in GET /17 of 30: request-p50-ns +100.0 %")
	for k := range 7 {
		d.Blocks[0].Sides[1].Asked[k].Failures[inject.EOF] = 3
	}
	require.Contains(
		t,
		DuelLine(d, gate.JudgeDuel(d)),
		"GET /0: 3 of 4003 failed, of the baseline 0 of 4000, GET /1: 3 of 4003 failed, "+
			"of the baseline 0 of 4000, GET /2: 3 of 4003 failed, of the baseline 0 of 4000, and 4 more requests",
	)
}
