package gate_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/gate"
	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// holding makes a duel of equals that hold some megabytes, and grow by some bytes with each
// request. Both scatter.
func holding(random *rand.Rand, n int, sizes, growth [2]float64, scatter float64) result.Duel {
	d := simulated(random, n, 1, 0.001)
	for i := range d.Blocks {
		for side := range d.Blocks[i].Sides {
			s := &d.Blocks[i].Sides[side]
			start := sizes[side] * (1 + scatter*random.NormFloat64())
			end := start + growth[side]*float64(s.Completed) + 0.1*scatter*sizes[side]*random.NormFloat64()
			s.Memory = &result.Memory{Start: int64(start), End: int64(end), Peak: int64(max(start, end))}
		}
	}
	d.Plan.Choose(nil, d.Blocks[0])
	return d
}

// TestMemoryIsJudged has candidates that hold more, at once or with each request.
func TestMemoryIsJudged(t *testing.T) {
	const mb = 1 << 20
	for _, tt := range []struct {
		name          string
		sizes, growth [2]float64
		change        func(*result.Duel)
		want          verdict.Verdict
		says          string
	}{
		{"equals", [2]float64{20 * mb, 20 * mb}, [2]float64{}, nil, verdict.Pass, ""},
		{"a twentieth more", [2]float64{20 * mb, 21 * mb}, [2]float64{}, nil, verdict.Pass, ""},
		{"a fifth more", [2]float64{20 * mb, 24 * mb}, [2]float64{}, nil, verdict.Regressed, "server-mem-bytes by +"},
		{"less", [2]float64{20 * mb, 10 * mb}, [2]float64{}, nil, verdict.Pass, ""},
		{"a kilobyte of each request", [2]float64{20 * mb, 20 * mb}, [2]float64{0, 1024}, nil, verdict.Inconclusive,
			"memory that does not grow with each request: that of the candidate grows by"},
		{"a kilobyte of each request, as before", [2]float64{20 * mb, 20 * mb}, [2]float64{1024, 1024}, nil, verdict.Pass,
			""},
		{"it leaks no more", [2]float64{20 * mb, 20 * mb}, [2]float64{1024, 0}, nil, verdict.Pass, ""},
		{"some bytes of each request", [2]float64{20 * mb, 20 * mb}, [2]float64{0, 20}, nil, verdict.Pass, ""},
		{"nobody asked", [2]float64{20 * mb, 24 * mb}, [2]float64{0, 1024}, func(d *result.Duel) {
			d.Plan.Choose([]string{"req/s"}, d.Blocks[0])
		}, verdict.Pass, ""},
		{"it is not known of one side", [2]float64{20 * mb, 24 * mb}, [2]float64{0, 1024}, func(d *result.Duel) {
			for i := range d.Blocks {
				d.Blocks[i].Sides[0].Memory, d.Blocks[i].Sides[0].NoMemory = nil, "another user's process listens there"
			}
			d.Plan.Choose(nil, d.Blocks[0])
		}, verdict.Pass, ""},
		{"it is not known of a later block", [2]float64{20 * mb, 20 * mb}, [2]float64{}, func(d *result.Duel) {
			d.Blocks[4].Sides[0].Memory, d.Blocks[4].Sides[0].NoMemory = nil, "they have ended"
		}, verdict.Inconclusive, "block 5 is only in the candidate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(21, 22))
			d := holding(random, 12, tt.sizes, tt.growth, 0.01)
			for i := range d.Blocks { // as many requests as make it clear
				for side := range d.Blocks[i].Sides {
					s := &d.Blocks[i].Sides[side]
					s.Memory.End = s.Memory.Start + int64(tt.growth[side]*float64(s.Completed)) + int64(random.NormFloat64()*3000)
				}
			}
			if tt.change != nil {
				tt.change(&d)
			}
			r := judgedThreeWays(t, d)
			require.Equal(t, tt.want, r.Verdict, r.Meaning)
			require.Contains(t, r.Meaning, tt.says)
		})
	}
}

// TestMemoryErrsRarely simulates duels of equals whose memory scatters, as far as a collector of
// garbage makes it: how often each is called worse, or grows, or is left open by its memory.
func TestMemoryErrsRarely(t *testing.T) {
	random := rand.New(rand.NewPCG(23, 24))
	const duels, mb = 200, 1 << 20
	for _, scatter := range []float64{0.005, 0.02, 0.05} {
		worse, grows, open := 0, 0, 0
		for range duels {
			d := holding(random, 9, [2]float64{20 * mb, 20 * mb}, [2]float64{}, scatter)
			d.Plan.Looks = []int{9, 12, 16, 24}
			for _, row := range gate.JudgeDuel(d).Rows {
				switch {
				case row.Unit != result.MemorySize:
				case row.Verdict == verdict.Regressed:
					worse++
				case row.Verdict == verdict.Inconclusive:
					open++
				}
			}
			if len(gate.Gaps(d)) > 0 {
				grows++
			}
		}
		t.Logf("scatter of %v: of %d, %d worse, %d grow, %d open at the first look", scatter, duels, worse, grows, open)
		require.LessOrEqual(t, worse, duels*2/100)
		require.LessOrEqual(t, grows, duels*2/100)
		if scatter <= 0.02 {
			require.LessOrEqual(t, open, duels/100)
		}
	}
}

// TestNineBlocksSuffice holds what the usual looks of a duel are chosen by: nine blocks of which
// all say the same are enough for one of all its units to be shown to be worse, and eight are not.
func TestNineBlocksSuffice(t *testing.T) {
	looks, err := verdict.NewLooks(9, 12, 16, 24)
	require.NoError(t, err)
	rule := verdict.Rule{Alpha: 0.05, Looks: looks}
	var text string
	for rows := 1; rows <= 8; rows++ {
		text += fmt.Sprintf(" %d: %d", rows, verdict.Least(true, rule.Needed(rows)))
	}
	t.Log("blocks needed by rows:", text)
	require.Equal(t, 9, verdict.Least(true, rule.Needed(5)),
		"req/s, server-cpu-ns/op, p50-ns, slow/op and server-mem-bytes")
}
