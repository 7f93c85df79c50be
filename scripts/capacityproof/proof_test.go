package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"rampart/loadtest"
	"rampart/loadtest/capacity"
	"rampart/loadtest/inject"
	"rampart/loadtest/result"
)

var update = flag.Bool("update", false, "write the golden files")

func TestTrials(t *testing.T) {
	p := plan{N: 20, Servers: []string{bundled, flask}, Seed: 1}
	all := p.trials()
	require.Equal(t, all, p.trials(), "drawn from the seed")
	require.Len(t, all, 2*2*2*20)
	first := 0
	for i := 0; i < len(all); i += 2 {
		require.Equal(t, all[i].Server, all[i+1].Server)
		require.Equal(t, all[i].Neighbour, all[i+1].Neighbour)
		require.NotEqual(t, all[i].Rule, all[i+1].Rule, "in turns")
		first += one(all[i].Rule == loadtest.RuleConfident)
		require.Equal(t, i >= 80, all[i].Server == flask, "those of one server follow each other")
	}
	require.InDelta(t, 40, first, 15)
}

func TestWindow(t *testing.T) {
	p := plan{Duration: 2 * time.Second}
	confident := trial{bundled, false, loadtest.RuleConfident}
	classic := trial{bundled, false, loadtest.RuleClassic}
	past := []outcome{
		{trial: confident, Seconds: 22}, {trial: confident, Seconds: 24.2},
		{trial: classic, Seconds: 13, Levels: make([]level, 4)}, {trial: classic, Levels: make([]level, 2)},
		{trial: trial{bundled, true, loadtest.RuleConfident}, Seconds: 900}, // of another kind
		{trial: trial{flask, false, loadtest.RuleConfident}, Seconds: 900},
	}
	require.Equal(t, 2*time.Second, p.window(confident, past))
	require.Equal(t, 6*time.Second, p.window(classic, nil), "nothing is known yet")
	require.Equal(t, 7*time.Second, p.window(classic, past), "three levels of 7 s and 0.7 s take 23.1 s")
	require.Equal(t, 7*time.Second, p.window(classic, past[:2]))
}

func TestFound(t *testing.T) {
	l := result.Level{Measurement: inject.Measurement{VUs: 2, Window: time.Second, Requests: 100}, Accepted: true}
	l.Doubts = result.Doubts{{Kind: "b"}, {Kind: "a"}}
	r := result.Result{
		Kind: result.KindRamp, Levels: []result.Level{l, l}, Stop: result.Stop{Reason: capacity.Knee},
		Doubts:   result.Doubts{{Kind: "a"}},
		Estimate: &capacity.Estimate{VUs: 2, Throughput: 90, Lower: 80, Upper: 99, Knee: 2, KneeLower: 1, KneeUpper: 2},
	}
	tried := trial{Server: bundled}
	require.Empty(t, cmp.Diff(outcome{
		trial: tried, Capacity: 90, Lower: 80, Upper: 99, VUs: 2, Knee: 2, KneeLower: 1, KneeUpper: 2, Stop: "knee",
		Levels: []level{{2, 100}, {2, 100}}, Doubts: []string{"a", "b"},
	}, found(tried, r), cmp.AllowUnexported(outcome{})))
	require.Zero(t, found(tried, result.Result{Kind: result.KindRamp}).Capacity)
}

func TestTable(t *testing.T) {
	var all []outcome
	for i := range 10 {
		x := 1000 + 20*float64(i%3)
		levels := []level{{1, x / 2}, {2, x}, {3, x}, {4, x * (1.1 + 0.01*float64(i%2))}}
		all = append(all,
			outcome{
				trial: trial{bundled, false, loadtest.RuleClassic}, Capacity: 700 + 100*float64(i), VUs: 2, Knee: 1 << (i % 4),
				Levels: levels[:2], Seconds: 11,
			},
			outcome{
				trial: trial{bundled, false, loadtest.RuleConfident}, Capacity: x, Lower: x - 30, Upper: x + 30, VUs: 4, Knee: 4,
				Levels: levels, Seconds: 12,
			},
			outcome{
				trial: trial{bundled, true, loadtest.RuleConfident}, Capacity: x, Lower: x - 100, Upper: x + 100,
				Levels: levels[:1], Doubts: []string{"machine-shared"}, Seconds: 12,
			},
		)
	}
	var b bytes.Buffer
	writeTable(&b, all)
	golden := filepath.Join("..", "..", "testdata", "capacityproof", "table.md")
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(golden), 0o777))
		require.NoError(t, os.WriteFile(golden, b.Bytes(), 0o666))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(string(want), b.String()))
}

func TestFlags(t *testing.T) {
	var out bytes.Buffer
	require.ErrorContains(t, run(t.Context(), []string{"-n", "1"}, &out, &out), "want -n 2 or more")
	require.ErrorContains(t, run(t.Context(), []string{"extra"}, &out, &out), "no other arguments")
	require.ErrorContains(t, run(t.Context(), []string{"-servers", "nginx"}, &out, &out), "want bundled and flask")
	log := filepath.Join(t.TempDir(), "log")
	begun := []byte(`{"Plan":{"N":3,"Duration":1000000000,"Servers":["bundled"],"Seed":5}}`)
	require.NoError(t, os.WriteFile(log, begun, 0o666))
	err := run(t.Context(), []string{"-n", "4", "-log", log}, &out, &out)
	require.ErrorContains(t, err, "it has -n 3 -duration 1s -seed 5")
	err = run(t.Context(), []string{"-n", "3", "-duration", "1s", "-log", log}, &out, &out)
	require.NoError(t, err, "nothing is left to do")
}
