package gate_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"rampart/loadtest/gate"
	"rampart/loadtest/inject"
	"rampart/loadtest/report"
	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// TestOwnFiles reads what the load experiments write. Their words for doubts and failures, and
// their units, must be understood here.
func TestOwnFiles(t *testing.T) {
	level := func(vus int) result.Level {
		h := hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 3)
		require.NoError(t, h.RecordValue(5000))
		return result.Level{
			Measurement: inject.Measurement{VUs: vus, Window: time.Second, Requests: 1000, Completed: 1000, Latency: h},
			ServerCPU:   &result.CPU{Used: time.Second, Elapsed: time.Second},
			ClientCPU:   &result.CPU{Used: time.Second, Elapsed: time.Second},
		}
	}
	doubted, failed := level(4), level(8)
	doubted.Doubts = result.Doubts{{Kind: "littles-law", Text: "which breaks Little's law"}}
	failed.Failures[inject.Status] = 3
	var file bytes.Buffer
	require.NoError(t, report.Bench(&file, result.Result{
		Kind: result.KindLevels, Levels: []result.Level{level(2), doubted, failed},
	}))

	r, err := gate.Parse("bench.txt", file.Bytes())
	require.NoError(t, err)
	judged, err := gate.Judge(r, r, gate.Options{Alpha: 0.05})
	require.NoError(t, err)
	require.Equal(t, 2, judged.Baseline.Lines)
	require.Len(t, judged.Problems, 1)
	require.Contains(t, judged.Problems[0], "no line for vus=8: requests failed")
	var gated []string
	for _, row := range judged.Rows {
		if strings.Contains(row.Benchmark, "/vus=4") {
			require.Equal(t, "in doubt: which breaks Little's law", row.Reason)
			continue
		}
		require.NotContains(t, row.Reason, "in doubt")
		gated = append(gated, row.Unit)
		require.Equal(t, "file", row.From)
	}
	require.ElementsMatch(t, []string{"req/s", "p50-ns", "p95-ns", "p99-ns", "server-cpu-ns/op"}, gated)
}

// big makes a file of benchmarks with 20 lines each.
func big(seed uint64, benchmarks int) []byte {
	random := rand.New(rand.NewPCG(seed, 0))
	var b bytes.Buffer
	for i := range benchmarks {
		for range 20 {
			fmt.Fprintf(&b, "BenchmarkLong/name=%d-2\t1000\t%.0f ns/op\t%.1f p99-ns\t%d B/op\n", i,
				1e6*(1+0.01*random.NormFloat64()),
				5e6*(1+0.02*random.NormFloat64()), 5000+random.IntN(4))
		}
	}
	return b.Bytes()
}

func BenchmarkGate(b *testing.B) {
	old, candidate := big(1, 1000), big(2, 1000)
	for b.Loop() {
		x, err := gate.Parse("old.txt", old)
		require.NoError(b, err)
		y, err := gate.Parse("new.txt", candidate)
		require.NoError(b, err)
		r, err := gate.Judge(x, y, gate.Options{Alpha: 0.05})
		require.NoError(b, err)
		require.Len(b, r.Rows, 3000)
		require.NoError(b, report.GateText(io.Discard, r))
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

// FuzzFile judges whatever is in a file against itself, with and without pairs: that is never a
// regression, never a crash, and always something that can be written.
func FuzzFile(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, content []byte) {
		r, err := gate.Parse("file", content)
		if err != nil {
			return
		}
		for _, p := range []gate.Pairing{gate.PairingFromFiles, gate.PairingForced, gate.PairingOff} {
			judged, err := gate.Judge(r, r, gate.Options{Alpha: 0.05, Pairing: p})
			require.NoError(t, err)
			require.NotEqual(t, verdict.Regressed, judged.Verdict)
			require.Equal(t, judged.Verdict == verdict.Pass, judged.Exit == gate.ExitPass)
			if len(judged.Problems) > 0 {
				require.Equal(t, gate.ExitUnjudged, judged.Exit)
			}
			require.NotEmpty(t, judged.Meaning)
			named := map[[2]string]bool{}
			for _, row := range judged.Rows {
				require.False(t, named[[2]string{row.Benchmark + row.Config, gate.Tidy(row.Unit)}], "a unit is twice in a line")
				named[[2]string{row.Benchmark + row.Config, gate.Tidy(row.Unit)}] = true
			}
			var out bytes.Buffer
			require.NoError(t, report.GateText(io.Discard, judged))
			require.NoError(t, report.GateMarkdown(io.Discard, judged, report.SummaryBytes))
			require.NoError(t, report.GateJSON(&out, judged))
			var again gate.Report
			require.NoError(t, json.Unmarshal(out.Bytes(), &again))
		}
	})
}
