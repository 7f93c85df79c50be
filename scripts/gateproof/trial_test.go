package main

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"

	"rampart/loadtest"
	"rampart/loadtest/gate"
	"rampart/loadtest/inject"
	"rampart/loadtest/result"
)

// measured makes a duel of nine blocks of 2000 requests a side, of which so many of the candidate
// take ten times as long.
func measured(t *testing.T, slow int64) loadtest.DuelResult {
	const requests = 2000
	random := rand.New(rand.NewPCG(1, 0))
	d := result.Duel{
		Started: time.Unix(1, 0), Baseline: "./old", Candidate: "./new", Target: "/", Seed: 7, VUs: 2,
		Machine: result.Machine{OS: "linux", Arch: "amd64", CPUs: 2},
		Plan:    result.Plan{Looks: loadtest.DefaultLooks(), Alpha: 0.05},
	}
	for number := 1; number <= 9; number++ {
		b := result.Block{Number: number}
		for side := range b.Sides {
			many := int64(side) * slow
			ordinary := 1000 + random.Int64N(4)
			h := hdrhistogram.New(1, 1_000_000, 3)
			require.NoError(t, h.RecordValues(ordinary, requests-many))
			require.NoError(t, h.RecordValues(10*ordinary, many))
			took := time.Duration((requests-many)*ordinary+many*10*ordinary) * time.Microsecond
			b.Sides[side] = result.Side{
				Measurement: inject.Measurement{VUs: 2, Requests: requests, Completed: requests, Bodies: requests, LatencySum: took,
					Latency: h},
				ServerCPU: &result.CPU{Used: took, Elapsed: took},
			}
		}
		d.Blocks = append(d.Blocks, b)
	}
	d.Plan.Choose(nil, d.Blocks[0])
	return loadtest.DuelResult{Duel: d, Report: gate.JudgeDuel(d)}
}

// TestOutcome holds that an outcome names what found a tail, and that the files of a duel are
// judged again.
func TestOutcome(t *testing.T) {
	o, err := newOutcome(measured(t, 0))
	require.NoError(t, err)
	require.Equal(t, "pass", o.Verdict)
	require.Empty(t, o.Worse)
	require.Empty(t, o.Open)
	require.Equal(t, "pass", o.Again)
	require.True(t, o.Same)
	require.InDelta(t, 0, o.Estimate, 0.005)

	d := measured(t, 50)
	o, err = newOutcome(d)
	require.NoError(t, err)
	require.Equal(t, "regressed", o.Verdict)
	require.ElementsMatch(t, []string{"req/s", "server-cpu-ns/op", "slow/op"}, o.Worse)
	require.Equal(t, "regressed", o.Again)
	require.True(t, o.Same)
	require.InDelta(t, 1-1/(1+9*50.0/2000), o.Estimate, 0.005)
	require.Equal(t, 9, o.Blocks)

	d.Report.Alpha = 0.01
	o, err = newOutcome(d)
	require.NoError(t, err)
	require.False(t, o.Same, "a number of the report is not that of the files")
	o.Seconds = 16
	require.Contains(t, o.String(), "regressed by ")
	require.Contains(t, o.String(), "its files judged otherwise (regressed)")
}

func TestOutcomeWithoutBlocks(t *testing.T) {
	d := measured(t, 0)
	d.Blocks = nil
	d.Report = gate.JudgeDuel(d.Duel)
	_, err := newOutcome(d)
	require.ErrorContains(t, err, "a duel without req/s")
}
