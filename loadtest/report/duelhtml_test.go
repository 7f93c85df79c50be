package report

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
	"rampart/loadtest/verdict"
)

func TestDuelHTML(t *testing.T) {
	d := duel(8, 1.05)
	d.Baseline = "./old -flag='<x>' {addr}"
	d.Blocks[6].Sides[1].Failures[inject.Reset] = 4
	d.Blocks[7].Sides[0].Strain.Busy = 0.95
	d.Judge(verdict.Rule{Alpha: 0.05}, nil, nil)
	var b bytes.Buffer
	require.NoError(t, DuelHTML(&b, d))
	page := b.String()
	for _, part := range []string{
		"inconclusive", "after 8 blocks", "<td class=\"text\">req/s</td>", "p99-ns", "-3.00 %", "reset 4", "4 of 8804 requests of the candidate failed",
		"the injector was busy for 95 %", "&lt;x&gt;", "drawn from seed 42", "Change in each block",
	} {
		require.Contains(t, page, part)
	}
	require.Equal(t, 2, strings.Count(page, "<svg"))
	require.NotContains(t, page, "<?xml")
	require.NotRegexp(t, `(src|href)=|url\(|@import`, page, "it needs no network")
	svg := xml.NewDecoder(strings.NewReader(page[strings.Index(page, "<svg") : strings.Index(page, "</svg>")+len("</svg>")]))
	for {
		_, err := svg.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
	}
	b.Reset()
	failed := duel(1, 1)
	failed.Blocks[0].Sides[1].Failures[inject.Reset] = 1
	failed.Judge(verdict.Rule{Alpha: 0.05}, nil, nil)
	require.NoError(t, DuelHTML(&b, failed))
	require.Contains(t, b.String(), "no block without a failed request")
	require.NotContains(t, b.String(), "Medians")
	for n := range 6 {
		few := duel(n, 1)
		few.Judge(verdict.Rule{Alpha: 0.05}, nil, nil)
		require.NoError(t, DuelHTML(io.Discard, few), "%d blocks", n)
	}
}
