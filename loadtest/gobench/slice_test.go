package gobench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLengthen(t *testing.T) {
	const us, ms = 1e3, 1e6
	one := func(n int, each, bytes float64, wall int) probe {
		return probe{n, each, bytes, time.Duration(wall) * time.Millisecond, 1}
	}
	quick := probe{1, 10 * us, 0, 100 * time.Microsecond, 1} // cold
	for _, c := range []struct {
		name   string
		listed probe
		probes []probe
		want   int
		chosen int // of the probes
	}{
		{"five milliseconds", quick, nil, 500, 0},
		{"it is quicker when it is warm", quick, []probe{one(500, us, 0, 1)}, 5000, 0},
		{"to see whether time falls", quick, []probe{one(5000, us, 0, 6)}, 20000, 0},
		{"it does not", quick, []probe{one(5000, us, 0, 6), one(20000, 0.97*us, 0, 21)}, 0, 0},
		{"it does", quick, []probe{one(5000, us, 0, 6), one(20000, 0.6*us, 0, 14)}, 80000, 1},
		{"still", quick, []probe{
			one(5000, us, 0, 6), one(20000, 0.6*us, 0, 14), one(80000, 0.55*us, 0, 50),
		}, 145455, 2},
		{"an iteration is longer", one(1, 200*ms, 0, 200), []probe{one(1, 200*ms, 0, 200)}, 0, 0},
		{"it allocates 1 GB a second", quick, []probe{one(5000, us, 1000, 6), one(20000, us, 1000, 21)}, 0, 1},
		{"it allocates 300 MB a second", quick, []probe{one(5000, us, 300, 6), one(20000, us, 300, 21)}, 41943, 1},
		{"it prepares for long", one(1, us, 0, 100), nil, 6, 0},
		{"not for each iteration", one(1, us, 0, 100), []probe{one(6, us, 0, 100)}, 5000, 0},
		{"and is still short", one(1, us, 0, 100), []probe{one(5000, us, 0, 105)}, 50000, 0},
		{"now it is not", one(1, us, 0, 100), []probe{one(5000, us, 0, 105), one(50000, us, 0, 150)}, 0, 1},
		{"for each iteration", one(1, 5*us, 0, 10), nil, 51, 0},
		{"which takes too long", one(1, 5*us, 0, 10), []probe{one(51, 5*us, 0, 510)}, 0, 0},
	} {
		require.Equal(t, c.want, lengthen(c.listed, c.probes), c.name)
		if len(c.probes) > 0 {
			require.Equal(t, c.probes[c.chosen], chosen(c.probes), c.name)
		}
	}
}

func TestSettle(t *testing.T) {
	for _, c := range []struct {
		probe probe
		want  setting
	}{
		{probe{5000, 1e3, 0, 6 * time.Millisecond, 1.0}, setting{5000, 1, 24, true}},
		{probe{5000, 1e3, 0, 6 * time.Millisecond, 1.9}, setting{5000, 1, 24, false}},
		{probe{5000, 1e3, 0, 50 * time.Millisecond, 1}, setting{5000, 1, 4, true}},
		{probe{1, 200e6, 0, 200 * time.Millisecond, 1}, setting{1, 1, 1, true}},
		{probe{1, 3e9, 0, 3 * time.Second, 1}, setting{1, 0, 1, true}},
		{probe{5000, 1e3, 0, 3 * time.Second, 1}, setting{5000, 0, 1, true}},
	} {
		require.Equal(t, c.want, settle(c.probe, usualSide), "%+v", c.probe)
	}
}

func TestSchedule(t *testing.T) {
	looks := []int{4, 8, 16}
	s := func(blocks int, each time.Duration, over bool, need int) state {
		return state{blocks, each, over, need}
	}
	for _, c := range []struct {
		name   string
		states []state
		left   time.Duration
		want   int
	}{
		{"in their order", []state{s(0, 2, false, 0), s(0, 1, false, 0)}, 100, 0},
		{"the fewest looks first", []state{s(4, 1, false, 5), s(0, 9, false, 0)}, 100, 1},
		{"what needs the least time first", []state{s(4, 1, false, 30), s(4, 2, false, 8), s(4, 1, false, 0)}, 100, 1},
		{"only what there is time for", []state{s(0, 50, false, 0), s(0, 10, false, 0)}, 100, 1},
		{"nothing is left to do", []state{s(16, 1, false, 0), s(4, 1, true, 0)}, 100, -1},
		{"no time", []state{s(0, 1, false, 0)}, 3, -1},
	} {
		require.Equal(t, c.want, next(c.states, looks, c.left), c.name)
	}
	require.Equal(t, 0, nextLook(looks, 16))
	require.Equal(t, 8, nextLook(looks, 4))
	require.Equal(t, 8, nextLook(looks, 5))
	three := []state{s(0, 1, false, 0), s(4, 2, false, 0), s(0, 9, true, 0)}
	require.Equal(t, time.Duration(12), remaining(three, looks, 100))
	require.Equal(t, time.Duration(5), remaining([]state{s(0, 1, false, 0), s(4, 2, false, 0)}, looks, 5))
}

func TestLayouts(t *testing.T) {
	s := &Suite{arrangements: 3}
	var all [][2]int
	for block := 1; block <= 9; block++ {
		all = append(all, s.layouts(block))
	}
	want := [][2]int{{1, 1}, {2, 2}, {3, 3}, {1, 2}, {2, 3}, {3, 1}, {1, 3}, {2, 1}, {3, 2}}
	require.Equal(t, want, all, "each pair once")
	require.Equal(t, [2]int{}, (&Suite{arrangements: 1}).layouts(5))
}

func TestMean(t *testing.T) {
	var all []Measurement
	for _, text := range []string{"10\t 2 ns/op\t 4 MB/s\t 1 x\n", "10\t 4 ns/op\t 2 MB/s\n"} {
		m, ok := parseNumbers(text)
		require.True(t, ok)
		all = append(all, m)
	}
	require.Equal(t, "10: 3 ns/op 2.6666666666666665 MB/s 1 x", Measurement{10, mean(all)}.String())
}
