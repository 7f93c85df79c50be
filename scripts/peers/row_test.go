package main

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
)

func TestSpread(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   spread
	}{
		{nil, spread{}},
		{[]float64{3}, spread{1, 3, 3, 3}},
		{[]float64{4, 1}, spread{2, 2.5, 1, 4}},
		{[]float64{9, 1, 2}, spread{3, 2, 1, 9}},
		{[]float64{4, 1, 3, 2}, spread{4, 2.5, 1, 4}},
		{[]float64{5, 1, 4, 2, 100}, spread{5, 4, 1, 100}},
	} {
		got := newSpread(test.values)
		diff := cmp.Diff(test.want, got, cmp.AllowUnexported(spread{}), cmpopts.EquateApprox(0, 1e-12))
		require.Empty(t, diff, "%v", test.values)
	}
}

// one makes a run of a million requests.
func one(round, vus int, tool string, perSecond float64, cpu time.Duration, mb int64) sample {
	return sample{
		round: round, vus: vus, tool: tool,
		outcome: outcome{completed: 1e6, perSecond: perSecond}, cost: cost{cpu, mb * 1e6},
	}
}

func failing(s sample, failed uint64) sample { s.failed = failed; return s }

func broke(s sample) sample {
	s.outcome, s.err = outcome{}, errors.New("broke")
	return s
}

// samples are runs of three tools in three rounds at 8 VUs and one at 64.
func someSamples() []sample {
	return []sample{
		one(1, 8, "wrk", 1000, 10*time.Second, 5), one(1, 8, "rampart", 1100, 9*time.Second, 20),
		one(1, 8, "hey", 500, 30*time.Second, 60),
		// The machine was half as fast in this round: the ratios are the same.
		one(2, 8, "rampart", 550, 18*time.Second, 22), one(2, 8, "wrk", 500, 20*time.Second, 5),
		failing(one(2, 8, "hey", 700, time.Second, 900), 3),
		one(3, 8, "hey", 400, 40*time.Second, 80), one(3, 8, "wrk", 1000, 10*time.Second, 5),
		one(3, 8, "rampart", 1200, 8*time.Second, 21),
		broke(one(1, 64, "wrk", 0, 0, 0)), one(1, 64, "rampart", 2000, 9*time.Second, 22),
		failing(one(1, 64, "hey", 1, 1, 1), 1000),
	}
}

func TestCompare(t *testing.T) {
	want := []row{
		{
			vus: 8, tool: "rampart", rounds: 3,
			throughput: spread{3, 1.1, 1.1, 1.2}, cpu: spread{3, 0.9, 0.8, 0.9},
			memory: spread{3, 4.2, 4, 4.4}, resident: spread{3, 21, 20, 22},
		},
		{
			vus: 8, tool: "wrk", rounds: 3,
			throughput: spread{3, 1, 1, 1}, cpu: spread{3, 1, 1, 1}, memory: spread{3, 1, 1, 1}, resident: spread{3, 5, 5, 5},
		},
		{
			vus: 8, tool: "hey", rounds: 3, failed: 3, failedRounds: 1,
			throughput: spread{2, 0.45, 0.4, 0.5}, cpu: spread{2, 3.5, 3, 4},
			memory: spread{2, 14, 12, 16}, resident: spread{2, 70, 60, 80},
		},
		{vus: 64, tool: "rampart", rounds: 1, resident: spread{1, 22, 22, 22}},
		{vus: 64, tool: "wrk", rounds: 1, brokenRounds: 1},
		{vus: 64, tool: "hey", rounds: 1, failed: 1000, failedRounds: 1},
	}
	got := compare(someSamples(), "wrk")
	require.Empty(t, cmp.Diff(want, got, cmp.AllowUnexported(row{}, spread{}), cmpopts.EquateApprox(0, 1e-12)))
}

func TestRequired(t *testing.T) {
	at := func(throughput, cpu float64) row {
		return row{vus: 8, tool: "rampart", throughput: newSpread([]float64{throughput}), cpu: newSpread([]float64{cpu})}
	}
	for name, test := range map[string]struct {
		row  row
		want []string
	}{
		"both just reached": {at(1, 1), nil},
		"cpu":               {at(1, 1.0004), []string{"at 8 VUs rampart takes 1.000 times wrk's CPU per request"}},
		"throughput":        {at(0.9, 1), []string{"at 8 VUs rampart makes 0.900 times wrk's requests"}},
		"both":              {at(0.9, 1.1), []string{"takes 1.100", "makes 0.900"}},
		"unknown":           {row{vus: 8, tool: "rampart"}, []string{"nothing to compare at 8 VUs"}},
		"another tool":      {row{vus: 8, tool: "hey"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			err := required([]row{test.row})
			if test.want == nil {
				require.NoError(t, err)
			}
			for _, text := range test.want {
				require.ErrorContains(t, err, text)
			}
		})
	}
}

func TestEnough(t *testing.T) {
	for name, test := range map[string]struct {
		sample     sample
		connecting time.Duration
		want       string
	}{
		"just enough": {one(1, 1, "rampart", 1, 1, 300), 10 * time.Second, ""},
		"failure":     {failing(one(1, 1, "rampart", 1, 1, 1), 1), 0, "1 requests failed"},
		"memory":      {one(1, 1, "rampart", 1, 1, 301), 0, "301 MB resident: at most 300 are allowed"},
		"connecting":  {one(1, 1, "rampart", 1, 1, 1), 10010 * time.Millisecond, "10.01s: at most 10s is allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			err := enough(test.sample, test.connecting)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
}
