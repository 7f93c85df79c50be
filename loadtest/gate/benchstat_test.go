package gate

import (
	"bytes"
	"encoding/csv"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"
	"golang.org/x/perf/benchmath"

	"rampart/loadtest/verdict"
)

func TestRelate(t *testing.T) {
	for _, tt := range []struct {
		lower, upper float64
		worse        int
		want         Says
	}{
		{0.01, 0.02, 1, Agrees},
		{0.01, 0.02, 0, Silent},
		{0.01, 0.02, -1, Contradicts},
		{-0.01, 0.02, 1, Silent},
		{-0.01, 0.02, -1, Silent},
		{-0.02, -0.01, 1, Contradicts},
		{-0.02, -0.01, -1, Agrees},
		{0, 0.02, -1, Silent},
		{math.Inf(-1), math.Inf(1), 1, Silent},
	} {
		require.Equal(t, tt.want, relate(verdict.Comparison{Lower: tt.lower, Upper: tt.upper}, tt.worse))
	}
}

// TestBenchstatKeepsPairs: what computes for benchstat sorts, but not the caller's samples.
func TestBenchstatKeepsPairs(t *testing.T) {
	x, y := []float64{3, 1, 2}, []float64{6, 4, 5}
	before, after, b := benchstat(x, y, benchmath.AssumeNothing, verdict.Lower, verdict.Comparison{})
	require.Equal(t, [2]float64{2, 5}, [2]float64{before, after})
	require.Equal(t, "~", b.Delta)
	require.InDelta(t, 0.1, b.P, 1e-12)
	require.Equal(t, [][]float64{{3, 1, 2}, {6, 4, 5}}, [][]float64{x, y})
}

// TestBenchstatSaysTheSame asks the pinned benchstat about the files of the scripts. What stands
// beside a row must be what it prints.
func TestBenchstatSaysTheSame(t *testing.T) {
	compared := 0
	for _, script := range []string{"regression", "improvement", "noise", "missing", "packages", "contradiction"} {
		archive, err := txtar.ParseFile(filepath.Join("..", "..", "testdata", "perfgate", script+".txtar"))
		require.NoError(t, err)
		dir := t.TempDir()
		files := map[string]string{}
		for _, f := range archive.Files {
			files[f.Name] = filepath.Join(dir, f.Name)
			require.NoError(t, os.WriteFile(files[f.Name], f.Data, 0o666))
		}
		cmd := exec.Command("go", "tool", "benchstat", "-format", "csv", files["old.txt"], files["new.txt"])
		out, err := cmd.Output()
		require.NoError(t, err)
		type key struct{ pkg, unit, benchmark string }
		theirs := map[key][2]string{}
		var pkg, unit string
		for raw := range bytes.Lines(out) {
			line := string(bytes.TrimSpace(raw))
			if m := regexp.MustCompile(`^pkg: (.*)`).FindStringSubmatch(line); m != nil {
				pkg = m[1]
			}
			fields, err := csv.NewReader(bytes.NewReader(raw)).Read()
			if err != nil || len(fields) != 7 {
				continue
			}
			if fields[0] == "" {
				unit = fields[1]
			} else if m := regexp.MustCompile(`^p=(\S+) n=`).FindStringSubmatch(fields[6]); m != nil {
				theirs[key{pkg, unit, fields[0]}] = [2]string{fields[5], m[1]}
			}
		}

		baseline, err := Read(files["old.txt"])
		require.NoError(t, err)
		candidate, err := Read(files["new.txt"])
		require.NoError(t, err)
		report, err := Judge(baseline, candidate, Options{Alpha: 0.05})
		require.NoError(t, err)
		for _, row := range report.Rows {
			pkg := baseline.config(map[string]bool{"pkg": true})["pkg"]
			if row.Config != "" {
				pkg = row.Config
			}
			said, ok := theirs[key{pkg, Tidy(row.Unit), row.Benchmark}]
			require.True(t, ok, "%s: %s in\n%s", script, row.Name(), out)
			require.Equal(t, said, [2]string{row.Benchstat.Delta, strconv.FormatFloat(row.Benchstat.P, 'f', 3, 64)}, row.Name())
			compared++
		}
	}
	require.Equal(t, 3*5+3+2+1, compared)
}
