package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
	loadreport "rampart/loadtest/report"
	"rampart/loadtest/verdict"
)

// TestOwnFiles reads what the load experiments write. Their words for doubts and failures, and their units, must be
// understood here.
func TestOwnFiles(t *testing.T) {
	level := func(vus int) loadreport.Level {
		h := hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 3)
		require.NoError(t, h.RecordValue(5000))
		return loadreport.Level{
			Measurement: inject.Measurement{VUs: vus, Window: time.Second, Requests: 1000, Completed: 1000, Latency: h},
			ServerCPU:   &loadreport.CPU{Used: time.Second, Elapsed: time.Second},
			ClientCPU:   &loadreport.CPU{Used: time.Second, Elapsed: time.Second},
		}
	}
	doubted, failed := level(4), level(8)
	doubted.Doubts = loadreport.Doubts{{Kind: "littles-law", Text: "which breaks Little's law"}}
	failed.Failures[inject.Status] = 3
	var file bytes.Buffer
	require.NoError(t, loadreport.Bench(&file, loadreport.Result{
		Kind: loadreport.KindLevels, Levels: []loadreport.Level{level(2), doubted, failed},
	}))

	r, err := parse("bench.txt", file.Bytes())
	require.NoError(t, err)
	require.Len(t, r.lines, 2)
	require.Empty(t, r.doubtsAbout(r.lines[0].name))
	require.Equal(t, []string{"which breaks Little's law"}, r.doubtsAbout(r.lines[1].name))
	require.Len(t, r.broken, 1)
	require.Contains(t, r.broken[0], "no line for vus=8: requests failed")

	report, err := gate(r, r, options{alpha: 0.05})
	require.NoError(t, err)
	var gated []string
	for _, row := range report.Rows {
		if row.Benchmark == r.lines[0].name {
			gated = append(gated, row.Unit)
			require.Equal(t, "file", row.From)
		}
	}
	require.ElementsMatch(t, []string{"req/s", "p50-ns", "p95-ns", "p99-ns", "server-cpu-ns/op"}, gated)
}

func TestParseBlock(t *testing.T) {
	for line, want := range map[string]block{
		"# rampart duel seed=42 block=1":                    {42, 1},
		"# rampart duel block=7 seed=0":                     {0, 7},
		"# rampart duel seed=18446744073709551615 block=30": {1<<64 - 1, 30},
		"# rampart duel seed=1 block=2 commit=abc note":     {1, 2},
	} {
		got, ok, err := parseBlock(line)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, blockComment{block: want}, got)
	}
	got, _, err := parseBlock("# rampart duel seed=42 block=1 requests=990 failures=10")
	require.NoError(t, err)
	require.Equal(t, blockComment{block{42, 1}, true, verdict.Count{Succeeded: 990, Failed: 10}}, got)
	for _, counts := range []string{"requests=1", "failures=1", "requests=1 failures=-1", "requests=1e3 failures=1", "requests=x failures=x"} {
		_, ok, err := parseBlock("# rampart duel seed=42 block=1 " + counts)
		require.True(t, ok)
		require.ErrorContains(t, err, "want both requests=1000 and failures=0, or none of them", counts)
	}
	for _, line := range []string{
		"# rampart duel ", "# rampart duel seed=1", "# rampart duel block=1", "# rampart duel seed=-1 block=1", "# rampart duel seed=1 block=0",
		"# rampart duel seed=1 block=-1", "# rampart duel seed=1 block=x", "# rampart duel seed block", "# rampart duel seed=1 block=1.5",
	} {
		_, ok, err := parseBlock(line)
		require.True(t, ok)
		require.ErrorContains(t, err, "want # rampart duel seed=42 block=1", line)
	}
	for _, line := range []string{"", "# rampart v1.2.3", "rampart duel seed=1 block=1", "# rampart duels seed=1 block=1"} {
		_, ok, err := parseBlock(line)
		require.NoError(t, err)
		require.False(t, ok)
	}
}

func TestMargins(t *testing.T) {
	m := margins{}
	require.NoError(t, m.Set("req/s=3%,p99-ns=12.5%"))
	require.NoError(t, m.Set(" ns/op=1% , req/s=4%"))
	require.Empty(t, cmp.Diff(margins{"req/s": 0.04, "p99-sec": 0.125, "sec/op": 0.01}, m))
}

// big makes a file of benchmarks with 20 lines each.
func big(seed uint64, benchmarks int) []byte {
	random := rand.New(rand.NewPCG(seed, 0))
	var b bytes.Buffer
	for i := range benchmarks {
		for range 20 {
			fmt.Fprintf(&b, "BenchmarkLong/name=%d-2\t1000\t%.0f ns/op\t%.1f p99-ns\t%d B/op\n", i, 1e6*(1+0.01*random.NormFloat64()),
				5e6*(1+0.02*random.NormFloat64()), 5000+random.IntN(4))
		}
	}
	return b.Bytes()
}

func BenchmarkGate(b *testing.B) {
	old, candidate := big(1, 1000), big(2, 1000)
	for b.Loop() {
		x, err := parse("old.txt", old)
		require.NoError(b, err)
		y, err := parse("new.txt", candidate)
		require.NoError(b, err)
		r, err := gate(x, y, options{alpha: 0.05})
		require.NoError(b, err)
		require.Len(b, r.Rows, 3000)
		require.NoError(b, writeText(io.Discard, r))
	}
}

// seeds gives a fuzz target the files of the scripts.
func seeds(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join("..", "..", "testdata", "perfgate", "*.txtar"))
	require.NoError(f, err)
	require.NotEmpty(f, paths)
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		require.NoError(f, err)
		for _, file := range archive.Files {
			if strings.HasSuffix(file.Name, ".txt") && len(file.Data) < 4000 {
				f.Add(file.Data)
			}
		}
	}
}

// FuzzFile judges whatever is in a file against itself, with and without pairs: that is never a regression, never a
// crash, and always something that can be written.
func FuzzFile(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, content []byte) {
		r, err := parse("file", content)
		if err != nil {
			return
		}
		for _, l := range r.lines {
			units := map[string]bool{}
			for _, v := range l.values {
				require.False(t, units[v.tidy])
				units[v.tidy] = true
			}
		}
		for _, p := range []pairing{pairingFromFiles, pairingForced, pairingOff} {
			report, err := gate(r, r, options{alpha: 0.05, pairing: p})
			require.NoError(t, err)
			require.NotEqual(t, verdict.Regressed, report.Verdict)
			require.Equal(t, report.Verdict == verdict.Pass, report.Exit == exitPass)
			if len(report.Problems) > 0 {
				require.Equal(t, exitUnjudged, report.Exit)
			}
			require.NotEmpty(t, report.Meaning)
			var out bytes.Buffer
			require.NoError(t, writeText(io.Discard, report))
			require.NoError(t, writeMarkdown(io.Discard, report))
			require.NoError(t, writeJSON(&out, report))
			var again Report
			require.NoError(t, json.Unmarshal(out.Bytes(), &again))
		}
	})
}

// FuzzMargin accepts only fractions between 0 and 1, whatever is written.
func FuzzMargin(f *testing.F) {
	for _, s := range []string{"req/s=3%", "req/s=3%,p99-ns=15%", "=3%", "a=b=3%", "x=1e-9%", "x=NaN%", "x=0x1p-2%", ","} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m := margins{}
		if m.Set(s) != nil {
			return
		}
		require.NotEmpty(t, m)
		for unit, fraction := range m {
			require.NotEmpty(t, unit)
			require.True(t, fraction > 0 && fraction < 1, "%q: %v", s, fraction)
		}
	})
}

// TestHelpIsTrue holds the help to the defaults that it names.
func TestHelpIsTrue(t *testing.T) {
	for _, unit := range []string{"req/s", "ns/op", "p50-ns", "p90-ns", "p99-ns", "p99.9-ns"} {
		require.Contains(t, help, unit)
	}
	o, err := parseOptions([]string{os.DevNull, os.DevNull})
	require.NoError(t, err)
	require.Contains(t, help, fmt.Sprintf("(default %v)", o.alpha))
}
