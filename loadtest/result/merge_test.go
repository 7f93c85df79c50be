package result

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
)

// TestMergedHistogramIsThatOfTheWhole deals latencies from 1 µs to a minute out to clients, and
// compares every count.
func TestMergedHistogramIsThatOfTheWhole(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	highest := []int64{60_000_001, 60_000_001, 90_000_000} // REQUEST_TIMEOUT may differ
	whole := hdrhistogram.New(1, 90_000_000, 3)
	levels := make([]Level, len(highest))
	for i := range levels {
		levels[i].VUs, levels[i].Window = 1, time.Minute
		levels[i].Latency = hdrhistogram.New(1, highest[i], 3)
	}
	for range 200_000 {
		us := int64(1) << random.IntN(26)
		us += random.Int64N(us)
		us = min(us, 60_000_000)
		l := &levels[random.IntN(len(levels))]
		require.NoError(t, l.Latency.RecordValue(us))
		require.NoError(t, whole.RecordValue(us))
		l.Requests++
		l.LatencySum += time.Duration(us) * time.Microsecond
	}
	merged, err := Merge(levels)
	require.NoError(t, err)
	require.True(t, whole.Equals(merged.Latency))
	require.Equal(t, whole.Export().Counts, merged.Latency.Export().Counts)
	for _, q := range []float64{0, 0.5, 0.95, 0.99, 0.999, 1} {
		require.Equal(t, time.Duration(whole.ValueAtQuantile(100*q))*time.Microsecond, merged.Quantile(q))
	}
	require.InEpsilon(t, whole.Mean(), merged.Mean().Seconds()*1e6, 1e-3)

	// Through the document nothing is lost either.
	var b bytes.Buffer
	require.NoError(t, JSONLine(&b, Result{Kind: KindLevels, Levels: []Level{merged}}))
	require.Equal(t, 1, bytes.Count(b.Bytes(), []byte("\n")))
	read, err := ReadJSON(&b)
	require.NoError(t, err)
	require.Equal(t, whole.Export().Counts, read.Levels[0].Latency.Export().Counts)
	require.Len(t, read.Levels[0].Clients, 3)
}

func TestMerge(t *testing.T) {
	at := time.Unix(1_764_000_000, 250_000_000)
	skews := []time.Duration{time.Microsecond, 3 * time.Millisecond}
	one := level(2, 1000, 3*time.Millisecond)
	one.Started, one.StartSkew = at.Add(skews[0]), &skews[0]
	one.Failures[inject.Status] = 2
	one.Doubts = Doubts{{Kind: "stolen-time", Text: "7 % were stolen"}}
	two := level(4, 6000, 5*time.Millisecond)
	two.Started, two.StartSkew = at.Add(skews[1]), &skews[1]
	two.Window, two.Partial = 12*time.Second, true
	two.Failures[inject.Status], two.Failures[inject.Dial] = 1, 3
	two.Strain = inject.Strain{Busy: 0.5, Delay: 10 * time.Microsecond}
	two.ClientCPU = &CPU{Used: 3 * time.Second, Elapsed: 12 * time.Second}
	two.ServerCPU = &CPU{Used: 12 * time.Second, Elapsed: 12 * time.Second}

	m, err := Merge([]Level{one, two})
	require.NoError(t, err)
	require.Equal(t, 6, m.VUs)
	require.EqualValues(t, 7000, m.Requests)
	require.EqualValues(t, 1100+6600, m.Completed)
	require.Equal(t, 12*time.Second, m.Window, "the longest")
	require.Equal(t, 100.0+500, m.Throughput(), "each over its own window")
	require.Equal(t, map[string]uint64{"status": 3, "dial": 3}, m.Failures.ByName())
	require.Equal(t, (one.LatencySum+two.LatencySum)/7000, m.Mean())
	require.EqualValues(t, 7000, m.Latency.TotalCount())
	require.Equal(t, inject.Strain{Busy: 0.5, Delay: 20 * time.Microsecond}, m.Strain)
	require.Equal(t, one.Started, m.Started)
	require.True(t, m.Partial)
	require.Equal(t, Doubts{
		{Kind: "stolen-time", Text: "client 1: 7 % were stolen"},
		{Kind: DoubtOverlap, Text: "the windows of all clients were open together for 9.997s, 83.3 % of the longest, that of client 2: " +
			"their rates were not there at the same time"},
	}, m.Doubts)
	// 0.9 cores in 10 s and 1 in 12 s, for 600 requests/s; one client alone would have said 9 ms
	// and 2 ms.
	require.Equal(t, 21.0/22, m.ServerCPU.Cores())
	require.InDelta(t, 21.0/22/600*1e9, float64(m.ServerCPU.PerRequest(m.Throughput())), 1)
	require.InDelta(t, 0.05+0.25, m.ClientCPU.Cores(), 1e-9)
	perRequest := (100*float64(one.ClientCPU.PerRequest(100)) + 500*float64(two.ClientCPU.PerRequest(500))) / 600
	require.InDelta(t, perRequest, float64(m.ClientCPU.PerRequest(m.Throughput())), 1, "mean by rate")
	require.Equal(t, &skews[1], m.Clients[1].StartSkew)
	require.Equal(t, 7207*time.Microsecond, m.Quantile(0.95))
}

// TestMergeOfOne holds that a client alone stays what it was.
func TestMergeOfOne(t *testing.T) {
	l := level(2, 1000, 3*time.Millisecond)
	m, err := Merge([]Level{l})
	require.NoError(t, err)
	m.Clients, m.Stolen, m.Others = nil, l.Stolen, l.Others // it may share the machine with others
	require.Equal(t, l, m)
}

func TestMergeWithoutMeters(t *testing.T) {
	one, two := level(1, 10, time.Millisecond), level(1, 10, time.Millisecond)
	one.ServerCPU, one.ClientCPU = nil, nil
	m, err := Merge([]Level{one, two})
	require.NoError(t, err)
	require.Equal(t, two.ServerCPU.Cores(), m.ServerCPU.Cores(), "one meter of the server is enough")
	require.Nil(t, m.ClientCPU, "a sum without one of the clients would be too little")
}

// TestMergeDoubtsWindowsThatDoNotCoincide holds windows against each other and not starts: a longer
// warm-up and a longer window take clients apart as well.
func TestMergeDoubtsWindowsThatDoNotCoincide(t *testing.T) {
	at := time.Unix(1_764_000_001, 0)
	for name, tt := range map[string]struct {
		change func(*Level)
		share  string // that the doubt names; empty: there is none
	}{
		"together":                     {func(l *Level) {}, ""},
		"5 % later":                    {func(l *Level) { l.Started = at.Add(500 * time.Millisecond) }, ""},
		"6 % later":                    {func(l *Level) { l.Started = at.Add(600 * time.Millisecond) }, "94 %"},
		"6 % earlier":                  {func(l *Level) { l.Started = at.Add(-600 * time.Millisecond) }, "94 %"},
		"a quarter of the window":      {func(l *Level) { l.Window /= 4 }, "25 %"},
		"four times the window":        {func(l *Level) { l.Window *= 4 }, "25 %"},
		"three seconds more warm-up":   {func(l *Level) { l.Warmup += 3 * time.Second }, "70 %"},
		"later by less warm-up":        {func(l *Level) { l.Warmup, l.Started = 0, at.Add(time.Second) }, ""},
		"a start that nobody knows":    {func(l *Level) { l.Started = time.Time{} }, "not known"},
		"inside of the other's window": {func(l *Level) { l.Window, l.Warmup = time.Second, 5*time.Second }, "10 %"},
	} {
		one, two := level(1, 10, time.Millisecond), level(2, 20, time.Millisecond)
		one.Started, two.Started = at, at
		tt.change(&two)
		for _, order := range [][]Level{{one, two}, {two, one}, {one, two, level2(at)}} {
			m, err := Merge(order)
			require.NoError(t, err, name)
			if tt.share == "" {
				require.Empty(t, m.Doubts, name)
				continue
			}
			require.Len(t, m.Doubts, 1, name)
			require.Equal(t, DoubtOverlap, m.Doubts[0].Kind)
			require.Contains(t, m.Doubts[0].Text, tt.share, name)
		}
	}
}

// level2 is that of one more client.
func level2(started time.Time) Level {
	l := level(3, 30, time.Millisecond)
	l.Started = started
	return l
}

func TestMergeDoubtsAClientThatDidNothing(t *testing.T) {
	one, two, three := level2(time.Unix(1_764_000_001, 0)), level(5, 0, 0), level(6, 0, 0)
	two.Started, three.Started = one.Started, one.Started
	three.Failures[inject.Timeout] = 6 // which are data
	m, err := Merge([]Level{one, two, three})
	require.NoError(t, err)
	require.Equal(t, Doubts{{Kind: DoubtIdle, Text: "client 2: no request of its 5 VUs ended in its window, so fewer VUs than these made the load"}},
		m.Doubts)
}

func TestMergeRefuses(t *testing.T) {
	good := level2(time.Unix(1_764_000_001, 0))
	for want, change := range map[string]func(*Level){
		"client 2 has 10 requests and no histogram": func(l *Level) { l.Latency = nil },
		"client 2 has 11 requests and 10 latencies": func(l *Level) { l.Requests++ },
		"the histogram of client 2 has 2 digits from 1 µs, another has 3 from 1 µs": func(l *Level) {
			l.Latency = hdrhistogram.New(1, 1000, 2)
			l.Requests = 0
		},
		"has 3 digits from 1000 µs": func(l *Level) {
			l.Latency = hdrhistogram.New(1000, 100_000, 3)
			l.Requests = 0
		},
		"client 2 is merged already":                      func(l *Level) { l.Clients = []Level{good} },
		"client 2 has a level of 0 VUs":                   func(l *Level) { l.VUs = 0 },
		"client 2 has a level of 2 VUs and a window of 0": func(l *Level) { l.Window = 0 },
		"the level of client 2 is that of client 1":       func(l *Level) { *l = good },
		"clients 1 and 2 did not measure at the same time: the window of client 1 closed 50s before that of client 2 opened": func(l *Level) {
			l.Started = l.Started.Add(time.Minute)
		},
		"the window of client 2 closed 0s before that of client 1 opened": func(l *Level) { l.Started = l.Started.Add(-10 * time.Second) },
	} {
		bad := level(2, 10, time.Millisecond)
		bad.Started = good.Started
		change(&bad)
		_, err := Merge([]Level{good, bad})
		require.ErrorContains(t, err, want)
	}
	_, err := Merge(nil)
	require.ErrorContains(t, err, "there is none")
}

// TestMergedGolden merges what three clients printed in a real run: the second had failures, the
// third a doubt. The files are also what other programs that merge are tested with.
func TestMergedGolden(t *testing.T) {
	dir := filepath.Join("..", "..", "testdata", "pkb")
	var levels []Level
	var first Result
	for i := range 3 {
		f, err := os.Open(filepath.Join(dir, fmt.Sprintf("level-%d.json", i+1)))
		require.NoError(t, err)
		defer f.Close()
		r, err := ReadJSON(f)
		require.NoError(t, err)
		require.Equal(t, KindLevels, r.Kind)
		require.Len(t, r.Levels, 1)
		if i == 0 {
			first = r
		}
		levels = append(levels, r.Levels...)
	}
	require.NotZero(t, levels[1].Failures.Total())
	require.NotEmpty(t, levels[2].Doubts)
	merged, err := Merge(levels)
	require.NoError(t, err)
	first.Levels = []Level{merged}
	var b bytes.Buffer
	require.NoError(t, JSONLine(&b, first))
	path := filepath.Join(dir, "merged.json")
	if *update {
		require.NoError(t, os.WriteFile(path, b.Bytes(), 0o666))
	}
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	want, err := ReadJSON(f)
	require.NoError(t, err)
	// How well a histogram is compressed may change with Go.
	require.True(t, want.Levels[0].Latency.Equals(merged.Latency))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	blank := func(b []byte) string { return string(histogram.ReplaceAll(b, []byte(`"histogram_us": "…"`))) }
	require.Equal(t, blank(text), blank(b.Bytes()))
}
