package prove

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/gate"
	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

var update = flag.Bool("update", false, "write the golden files")

var beginning = Beginning{
	Plan: Plan{Seed: 7}, Server: "./server -addr {addr}", Request: "/search?q=go", VUs: 2, Side: 500 * time.Millisecond,
	Looks: []int{9, 12, 16, 24}, Alpha: 0.05,
	Machine: result.Machine{OS: "linux", Arch: "amd64", CPU: "A processor", CPUs: 2},
}

// outcomes makes so many of a kind. worse are the units by which they regressed, if they did.
func outcomes(n int, t Trial, v verdict.Verdict, worse ...string) (all []Outcome) {
	random := rand.New(rand.NewPCG(uint64(1000*t.Loss), 7))
	for range n {
		o := Outcome{
			Trial: t, Verdict: v, Worse: worse, Judged: []string{Throughput, ServerCPU, "p50-ns", result.BodySize},
			Blocks: 9, Seconds: 14, Estimate: t.Loss, Values: map[string]Values{},
		}
		if v == verdict.Inconclusive {
			o.Open, o.Blocks, o.Seconds = []string{"p50-ns"}, 24, 38
		}
		for i, sd := range []float64{0.01, 0.008, 0.09} {
			o.Values[o.Judged[i]] = equals(random, 1, o.Blocks, sd)[0]
		}
		all = append(all, o)
	}
	return all
}

func join(groups ...[]Outcome) (all []Outcome) {
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

func TestSummarize(t *testing.T) {
	const pass, regressed, open = verdict.Pass, verdict.Regressed, verdict.Inconclusive
	none, three, fifth, tenth := Trial{}, Trial{Loss: 0.03}, Trial{Loss: 0.05}, Trial{Loss: 0.1}
	wide := beginning
	wide.Margins = map[string]float64{Throughput: 0.2, ServerCPU: 0.2}
	medium := beginning
	medium.Margins = map[string]float64{Throughput: 0.04, ServerCPU: 0.04}
	for name, test := range map[string]struct {
		b    Beginning
		all  []Outcome
		exit int
		says string
	}{
		"as promised": {
			beginning, join(outcomes(10, none, pass), outcomes(10, fifth, regressed, Throughput)), gate.ExitPass,
			"AS PROMISED, as far as this shows: 0/10 (0.0 to 30.8 %) called slower, of equals; 0/10 (0.0 to 30.8 %) passed",
		},
		"one false alarm proves nothing": {
			beginning, join(outcomes(9, none, pass), outcomes(1, none, regressed, Throughput), outcomes(10, fifth, regressed)),
			gate.ExitPass, "AS PROMISED, as far as this shows: 1/10",
		},
		"false alarms": {
			beginning, join(outcomes(7, none, pass), outcomes(3, none, regressed, "p50-ns"), outcomes(10, fifth, regressed)),
			gate.ExitRegressed,
			"WORSE THAN PROMISED: equals called slower: 3/10 (6.7 to 65.2 %), where 5 % are allowed (p=0.012)",
		},
		"false alarms among few": {
			beginning, outcomes(2, none, regressed, Throughput), gate.ExitRegressed, "WORSE THAN PROMISED",
		},
		"losses that pass": {
			beginning, join(outcomes(10, none, pass), outcomes(7, three, regressed), outcomes(3, tenth, pass)),
			gate.ExitRegressed, "WORSE THAN PROMISED: a loss of the margin or more passed: 3/10",
		},
		"losses below the margin may pass": {
			wide, join(outcomes(10, none, pass), outcomes(10, tenth, pass)), gate.ExitPass,
			"AS PROMISED, as far as this shows: 0/10 (0.0 to 30.8 %) called slower, of equals",
		},
		"only those of the margin count": {
			medium, join(outcomes(10, none, pass), outcomes(9, three, pass), outcomes(9, tenth, regressed)),
			gate.ExitInconclusive, "10 of equals and 9 with a loss",
		},
		"a slower one says nothing": {
			beginning, join(outcomes(10, none, pass), outcomes(10, Trial{Slower: true}, pass)), gate.ExitPass,
			"AS PROMISED, as far as this shows: 0/10 (0.0 to 30.8 %) called slower, of equals",
		},
		"too few equals": {
			beginning, join(outcomes(9, none, pass), outcomes(10, fifth, regressed)), gate.ExitInconclusive,
			"TOO FEW DUELS to say how often the gate is wrong: 9 of equals and 10 with a loss",
		},
		"too few losses": {
			beginning, join(outcomes(10, none, pass), outcomes(1, fifth, regressed)), gate.ExitInconclusive, "TOO FEW DUELS",
		},
		"hardly ever a verdict": {
			beginning, join(outcomes(4, none, pass), outcomes(6, none, open), outcomes(10, fifth, open)), gate.ExitInconclusive,
			"OF LITTLE USE HERE: the gate is not wrong more often than promised, but of 10 duels of equals only 4",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := Summarize(test.b, test.all)
			require.Equal(t, test.exit, s.Exit, s.Meaning)
			require.Contains(t, s.Meaning, test.says)
			var b bytes.Buffer
			require.NoError(t, s.Text(&b))
			require.Contains(t, b.String(), s.Meaning)
		})
	}
}

func TestRight(t *testing.T) {
	for _, test := range []struct {
		loss    float64
		slower  bool
		verdict verdict.Verdict
		want    bool
	}{
		{0, false, verdict.Pass, true},
		{0, false, verdict.Regressed, false},
		{0, false, verdict.Inconclusive, false},
		{0.03, false, verdict.Pass, false},
		{0.03, false, verdict.Regressed, true},
		{0.02, false, verdict.Pass, true},
		{0.02, false, verdict.Regressed, true},
		{0.02, false, gate.Unjudged, false},
		{0, true, verdict.Pass, true},
		{0, true, verdict.Regressed, true},
	} {
		o := Outcome{Trial: Trial{Loss: test.loss, Slower: test.slower}, Verdict: test.verdict, Judged: []string{Throughput}}
		require.Equal(t, test.want, beginning.Right(o), "%+v", test)
	}
	cpu := Outcome{Trial: Trial{Loss: 0.0295}, Judged: []string{ServerCPU}}
	require.True(t, beginning.exceeds(cpu), "2.95 %% less throughput is 3.04 %% more processor time")
	cpu.Judged = []string{Throughput}
	require.False(t, beginning.exceeds(cpu))
}

// TestTable holds what people and programs get to read.
func TestTable(t *testing.T) {
	all := join(outcomes(18, Trial{}, verdict.Pass), outcomes(2, Trial{}, verdict.Inconclusive),
		outcomes(4, Trial{Loss: 0.03}, verdict.Regressed, ServerCPU), outcomes(1, Trial{Loss: 0.03}, verdict.Pass),
		outcomes(10, Trial{Loss: 0.05}, verdict.Regressed, ServerCPU, Throughput),
		outcomes(5, Trial{Loss: 0.1}, verdict.Regressed, Throughput),
		outcomes(3, Trial{Slower: true}, verdict.Regressed, "p50-ns"))
	s := Summarize(beginning, all)
	for name, write := range map[string]func(io.Writer) error{
		"table.txt": s.Text, "table.md": s.Markdown, "summary.json": s.JSON,
	} {
		var b bytes.Buffer
		require.NoError(t, write(&b))
		golden := filepath.Join("..", "..", "..", "testdata", "prove", name)
		if *update {
			require.NoError(t, os.WriteFile(golden, b.Bytes(), 0o666))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), b.String())
	}
}

// TestSummaryOfALog holds that a summary is the same from outcomes that were written down.
func TestSummaryOfALog(t *testing.T) {
	all := join(outcomes(10, Trial{}, verdict.Pass), outcomes(10, Trial{Loss: 0.05}, verdict.Regressed, ServerCPU))
	b, err := json.Marshal(all)
	require.NoError(t, err)
	var read []Outcome
	require.NoError(t, json.Unmarshal(b, &read))
	require.Equal(t, Summarize(beginning, all), Summarize(beginning, read))
}

func TestPercent(t *testing.T) {
	for x, want := range map[float64]string{
		0.03: "3 %", 0.0301: "3.1 %", 0.0005: "0.1 %", 0.5: "50 %", 0.501: "51 %", 0.1: "10 %", 0.11: "11 %", 0.012: "1.2 %",
	} {
		require.Equal(t, want, percent(x))
	}
}
