package result

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
)

// TestGaps holds what keeps answers of one length from being alike.
func TestGaps(t *testing.T) {
	of := func(x, y string) Duel { return Duel{Answers: [2]string{x, y}} }
	for _, d := range []Duel{
		{},
		of(`HTTP/1.1 200 "a"`, `HTTP/1.1 200 "b"`),
		of(`HTTP/1.1 200 text/html "a \"b\""`, `HTTP/2.0 200 text/html "200 text/plain"`),
		{Answers: [2]string{`HTTP/1.1 200 "a"`, `HTTP/1.1 202 "a"`}, Plan: Plan{AnyAnswer: true}},
	} {
		require.Empty(t, d.Gaps(), d.Answers)
	}
	for _, other := range []string{`HTTP/1.1 202 text/html "a"`, `HTTP/1.1 200 "a"`, `HTTP/1.1 200 text/html gzip "a"`} {
		require.Len(t, of(`HTTP/1.1 200 text/html "a"`, other).Gaps(), 1, other)
	}
}

// TestWasteIsWritten holds that what counts for nothing takes its time, also in the document.
func TestWasteIsWritten(t *testing.T) {
	m := inject.Measurement{VUs: 2, Requests: 90, Completed: 95, LatencySum: 90 * time.Millisecond, Wasted: 10,
		WastedSum: 10 * time.Millisecond}
	d := Duel{VUs: 2, Blocks: []Block{{Number: 1, Sides: [2]Side{{Measurement: m}, {Measurement: m}}}}}
	require.Equal(t, 1800.0, d.Blocks[0].Sides[1].Throughput(), "of 2000 there were")
	doc, err := NewDuelDocument(d)
	require.NoError(t, err)
	b, err := json.Marshal(doc)
	require.NoError(t, err)
	read, err := ReadDuelJSON(bytes.NewReader(b))
	require.NoError(t, err)
	require.Equal(t, 1800.0, read.Blocks[0].Sides[1].Throughput())
	require.EqualValues(t, 10, read.Blocks[0].Sides[1].Wasted)
}

// TestWasteIsNotCold holds that what counts for nothing is in both halves of a block: else the
// second half would look faster, and the duel be in doubt.
func TestWasteIsNotCold(t *testing.T) {
	m := inject.Measurement{VUs: 2, Requests: 180, Completed: 190, LatencySum: 180 * time.Millisecond, Wasted: 20,
		WastedSum: 20 * time.Millisecond}
	s := Side{Measurement: m, FirstHalf: &Part{Requests: 90, Busy: 100 * time.Millisecond}}
	var d Duel
	for range 24 {
		d.Blocks = append(d.Blocks, Block{Sides: [2]Side{s, s}})
	}
	require.Empty(t, d.stillFalls(0))
	s.FirstHalf = &Part{Requests: 90, Busy: 110 * time.Millisecond}
	for i := range d.Blocks {
		d.Blocks[i].Sides[1] = s
	}
	require.Contains(t, d.stillFalls(1), "the latency of a request of the candidate fell")
}

// TestSlowAfterRestIsNoted holds that a candidate is noted whose first requests of slices, which
// nobody judges, are slow beside all its others; a server that is slow altogether is not.
func TestSlowAfterRestIsNoted(t *testing.T) {
	const ms = time.Millisecond
	blocks := func(n int, first, other [2]time.Duration) (d Duel) {
		for range n {
			var b Block
			for side := range SideNames {
				b.Sides[side].Measurement = inject.Measurement{
					Requests: 100, LatencySum: 100 * other[side], Leads: 10, LeadSum: 10 * first[side],
				}
			}
			d.Blocks = append(d.Blocks, b)
		}
		return d
	}
	slow, usual := [2]time.Duration{2 * ms, 20 * ms}, [2]time.Duration{ms, ms}
	d := blocks(5, slow, usual)
	require.Empty(t, d.Notes(0))
	require.Equal(t, []string{"the first request after a rest of some milliseconds took 20ms of the candidate on " +
		"average, and 2ms of the baseline: the load is steady in what is judged, and no verdict is about these"}, d.Notes(1))
	for name, d := range map[string]Duel{
		"few blocks":        blocks(3, slow, usual),
		"a slow server":     blocks(5, slow, [2]time.Duration{ms, 10 * ms}),
		"a slow baseline":   blocks(5, [2]time.Duration{20 * ms, 2 * ms}, usual),
		"less than twice":   blocks(5, [2]time.Duration{2 * ms, 3 * ms}, usual),
		"a few blocks only": {Blocks: append(blocks(5, usual, usual).Blocks, blocks(4, slow, usual).Blocks...)},
		"no requests":       blocks(5, [2]time.Duration{}, [2]time.Duration{}),
	} {
		require.Empty(t, d.Notes(1), name)
	}
}

func TestDuelNotes(t *testing.T) {
	share := func(f float64) *float64 { return &f }
	d := Duel{Blocks: []Block{
		{Number: 1, Others: share(0.05)}, {Number: 2}, {Number: 3, Others: share(0.5)}, {Number: 4, Others: share(0.2)},
	}}
	for side := range SideNames {
		require.Equal(t, []string{"other processes used the machine in 2 of 4 blocks, up to 50 % of its processor time: " +
			"intervals are wider for it"}, d.Notes(side), "both files say it, and the verdict once")
	}
	d.Blocks = d.Blocks[:2]
	require.Empty(t, d.Notes(0))
	d.Blocks[1].Sides[1].NoServerCPU = "it is\nelsewhere"
	require.Empty(t, d.Notes(0))
	require.Equal(t, []string{
		"server CPU of the candidate is not known in 1 of 2 blocks; in block 2: it is elsewhere",
	}, d.Notes(1))
}
