package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/gate"
	"rampart/loadtest/verdict"
)

// TestMillionRows: a long table is cut with a count, failing rows first, and the verdict is always
// there.
func TestMillionRows(t *testing.T) {
	rows := func(n int, v verdict.Verdict) (rows []gate.Row) {
		for i := range n {
			rows = append(rows, gate.Row{Benchmark: fmt.Sprintf("X/%s=%d", v, i), Unit: "ns/op", Verdict: v})
		}
		return rows
	}
	for _, tt := range []struct {
		name                string
		pass, open, failing int
		terminal, page      string
	}{
		{"one fails", 1_000_000, 1, 1, "… and 999 802 rows that passed (", " rows that passed ("},
		{"many fail", 5, 12_345, 100_000, "… and 99 800 rows that regressed, 12 345 rows that are inconclusive, 5 rows " +
			"that passed (", " rows that regressed, 12 345 rows that are inconclusive, 5 rows that passed ("},
		{"few", 3, 1, 1, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := gate.Report{
				Verdict: verdict.Regressed, Meaning: "the candidate is worse", Problems: make([]string, 100_000),
				Rows: append(append(rows(tt.pass, verdict.Pass), rows(tt.open, verdict.Inconclusive)...),
					rows(tt.failing, verdict.Regressed)...),
			}
			var text, page bytes.Buffer
			require.NoError(t, GateText(&text, r))
			require.NoError(t, GateMarkdown(&page, r, SummaryBytes))
			require.LessOrEqual(t, page.Len(), SummaryBytes)
			require.Contains(t, page.String(), "the candidate is worse")
			require.Contains(t, text.String(), "\nREGRESSED: the candidate is worse")
			require.Contains(t, text.String(), "… and 99 800 more")
			for out, left := range map[string]string{text.String(): tt.terminal, page.String(): tt.page} {
				require.Contains(t, out, left)
				if left == "" {
					require.NotContains(t, out, " rows that ")
				}
				first := strings.Index(out, "X/")
				require.True(t, strings.HasPrefix(out[first:], "X/regressed=0 "), out[first:first+20])
			}
		})
	}
}
