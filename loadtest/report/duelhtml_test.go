package report

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/gate"
	"rampart/loadtest/inject"
	"rampart/loadtest/report/chart/charttest"
	"rampart/loadtest/result"
)

func TestDuelHTML(t *testing.T) {
	d := duel(8, 1.05)
	d.Baseline = "./old -flag='<x>' {addr}"
	d.Blocks[6].Sides[1].Failures[inject.Reset] = 4
	d.Blocks[7].Sides[0].Strain.Busy = 0.95
	d.Blocks[3].Sides[1].Warmth = result.Warmth{Load: 9750 * time.Millisecond, Cold: "it still falls"}
	var b bytes.Buffer
	require.NoError(t, DuelHTML(&b, d, gate.JudgeDuel(d)))
	page := b.String()
	for _, part := range []string{
		"inconclusive", "after 8 blocks", "<td class=\"text\">req/s</td>", "p99-ns", "-3.00 %", "reset 4",
		"4 of 8804 requests of the candidate failed",
		"the injector was busy for 95 %", "&lt;x&gt;", "drawn from seed 42", "Change in each block",
		"<td>9.75</td>", "Cold: it still falls. ",
	} {
		require.Contains(t, page, part)
	}
	require.Equal(t, 2, strings.Count(page, "<svg"))
	require.NotContains(t, page, "<?xml")
	require.NotRegexp(t, `(src|href)=|url\(|@import`, page, "it needs no network")
	charts := charttest.Page(t, page)
	require.Subset(t, charts[0].Texts, []string{"req/s", "server-cpu-ns/op", "p50-ns", "p99-ns", "allowed", "no change"})
	require.Contains(t, charts[0].Titles, "req/s: -3.00 % is allowed")
	require.Equal(t, 4*7, charts[1].Points, "the block with failures does not count")
	b.Reset()
	failed := duel(1, 1)
	failed.Blocks[0].Sides[1].Failures[inject.Reset] = 1
	require.NoError(t, DuelHTML(&b, failed, gate.JudgeDuel(failed)))
	require.Contains(t, b.String(), "no block without a failed request")
	require.NotContains(t, b.String(), "Medians")
	b.Reset()
	require.NotContains(t, page, "<h2>Requests")
	many := duel(8, 1)
	for i := range many.Blocks {
		for side := range many.Blocks[i].Sides {
			for k, name := range []string{"GET /a?<b>", "GET /slow"} {
				a := inject.Asked{
					Name:      name,
					Requests:  500,
					Completed: 500,
					P50:       time.Millisecond + time.Duration((7*i+3*side)%5)*time.Microsecond,
				}
				a.P50 += time.Duration(k*side) * time.Millisecond
				many.Blocks[i].Sides[side].Asked = append(many.Blocks[i].Sides[side].Asked, a)
			}
		}
	}
	many.Blocks[2].Sides[1].Failures[inject.Status], many.Blocks[2].Sides[1].Asked[0].Failures[inject.Status] = 7, 7
	many.Plan.Choose([]string{"req/s", result.RequestP50}, many.Blocks[0])
	require.NoError(t, DuelHTML(&b, many, gate.JudgeDuel(many)))
	require.Regexp(
		t,
		`(?s)<td class="text">GET /slow</td><td>\d+</td><td>\d+</td><td>&#43;\d.*regressed.*`+
			`<td class="text">GET /a\?&lt;b&gt;</td>`,
		b.String(),
	)
	require.Contains(t, b.String(), "GET /a?&lt;b&gt;: 7 of 4007 failed, and 0 of 4000 of the baseline: inconclusive.")
	require.NotContains(t, charttest.Page(t, b.String())[0].Texts, result.RequestP50, "single requests are in no chart")
	for n := range 6 {
		few := duel(n, 1)
		require.NoError(t, DuelHTML(io.Discard, few, gate.JudgeDuel(few)), "%d blocks", n)
	}
}
