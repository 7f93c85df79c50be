package result

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
)

// askedTimes is a request that took so long each time.
func askedTimes(name string, n int64, took time.Duration) inject.Asked {
	a := inject.Asked{
		Name: name, Requests: uint64(n), Completed: uint64(n) + 1, LatencySum: time.Duration(n) * took,
		Latency: hdrhistogram.New(1, 60_000_000, 2),
	}
	a.Failures[inject.Status] = uint64(n) / 10
	if err := a.Latency.RecordValues(took.Microseconds(), n); err != nil {
		panic(err)
	}
	return a
}

// TestRequestsOfClientsAreMerged holds that single requests of several clients are added up by
// their names, and that the document keeps them, of the clients as well.
func TestRequestsOfClientsAreMerged(t *testing.T) {
	levels := []Level{level(2, 1000, time.Millisecond), level(2, 1000, 2*time.Millisecond)}
	levels[1].Started = time.Now()
	for i := range levels {
		levels[i].Asked = []inject.Asked{
			askedTimes("GET /a", 600, time.Duration(i+1)*time.Millisecond), askedTimes("GET /b", 400, 5*time.Millisecond),
		}
	}
	levels[1].Asked[1].Name, levels[1].Asked[1].Others = "950 other requests", 950
	merged, err := Merge(levels)
	require.NoError(t, err)
	require.Len(t, merged.Asked, 3)
	a := merged.Asked[0]
	require.EqualValues(t, 1200, a.Requests)
	require.EqualValues(t, 1202, a.Completed)
	require.EqualValues(t, 120, a.Failures[inject.Status])
	require.Equal(t, 1500*time.Microsecond, a.Mean())
	require.InEpsilon(t, float64(time.Millisecond), float64(a.Quantile(0.4)), 0.01)
	require.InEpsilon(t, float64(2*time.Millisecond), float64(a.Quantile(0.9)), 0.01)
	require.Equal(t, 950, merged.Asked[2].Others)

	var b bytes.Buffer
	require.NoError(t, JSON(&b, Result{Kind: KindLevels, Levels: []Level{merged}}))
	require.Equal(t, 3, strings.Count(b.String(), `"by_request": [`), "that of the level, and of both clients")
	read, err := ReadJSON(&b)
	require.NoError(t, err)
	same := cmp.Comparer(func(x, y *hdrhistogram.Histogram) bool { return x == y || x != nil && y != nil && x.Equals(y) })
	require.Empty(t, cmp.Diff(merged.Asked, read.Levels[0].Asked, same))
	require.Empty(t, cmp.Diff(levels[1].Asked, read.Levels[0].Clients[1].Asked, same))

	var one bytes.Buffer
	require.NoError(t, JSON(&one, ramp()))
	require.NotContains(t, one.String(), "by_request", "of one request there is nothing more to say")
	require.NoError(t, JSONLine(&b, Result{Kind: KindLevels, Levels: []Level{levels[0]}}))
	text := b.String()
	for from, want := range map[string]string{
		`"requests":600`:          "GET /a: 600 latencies of 6001 requests in the histogram",
		`"failures":{"status":60`: `GET /a: class of failure "nap": want one of`,
	} {
		to := map[string]string{`"requests":600`: `"requests":6001`, `"failures":{"status":60`: `"failures":{"nap":60`}[from]
		_, err := ReadJSON(strings.NewReader(strings.Replace(text, from, to, 1)))
		require.ErrorContains(t, err, want)
	}
}

func TestNamesOfRequestBenchmarks(t *testing.T) {
	for _, all := range []string{"Duel/vus=8", "Duel/vus=8-2", "Duel/vus=8-16"} {
		for _, name := range []string{"GET /", "GET /a-3", "GET /search?q={seq}&x=%20", "POST /ü/request=7-2",
			"950 other requests",
			"GET /a (t.txt:7)", "…", "GET /,:;=\"'\\ \t"} {
			benchmark := RequestBenchmark(all, name)
			require.NotRegexp(t, `[\s,:"]`, benchmark)
			require.Equal(t, 2, strings.Count(benchmark, "/"), benchmark)
			of, request, ok := RequestOf(benchmark)
			require.True(t, ok)
			require.Equal(t, []string{all, name}, []string{of, request})
		}
		of, request, ok := RequestOf(all)
		require.False(t, ok)
		require.Equal(t, []string{all, ""}, []string{of, request})
	}
	require.Equal(
		t,
		"Duel/vus=8/request=GET%20%2Fsearch?q={seq}-2",
		RequestBenchmark("Duel/vus=8-2", "GET /search?q={seq}"),
	)
}

// TestPlanOfRequests holds which requests a plan judges, by the first block and not by which side
// is slower.
func TestPlanOfRequests(t *testing.T) {
	var b Block
	for side := range b.Sides {
		b.Sides[side] = Side{Measurement: level(2, 2000, time.Millisecond).Measurement}
		for i, n := range []uint64{500, 100, 99, 0} {
			b.Sides[side].Asked = append(
				b.Sides[side].Asked,
				inject.Asked{Name: fmt.Sprint(i), Requests: n, P50: time.Millisecond},
			)
		}
	}
	b.Sides[1].Asked[1].Requests = 101
	b.Sides[1].Asked[2].Requests = 300
	why := func(p Plan) (all []WhyOmitted) {
		for _, r := range p.Requests {
			all = append(all, r.Why)
		}
		return all
	}
	var p Plan
	p.Choose(nil, b)
	require.Equal(t, []WhyOmitted{"", "", Few, Few}, why(p))
	require.Contains(t, p.Units, RequestP50)
	require.Equal(t, len(p.Units)-1+2, p.Rows())
	p.Choose([]string{"req/s"}, b)
	require.Equal(t, []WhyOmitted{NotAsked, NotAsked, NotAsked, NotAsked}, why(p))
	require.NotContains(t, p.Units, RequestP50)
	require.Contains(t, p.Omitted, Omitted{RequestP50, NotAsked})
	for _, asks := range []Plan{{Margins: map[string]float64{RequestP50: 0.2}}, {Require: []string{RequestP50}}} {
		asks.Choose(nil, b)
		require.Equal(t, []WhyOmitted{"", "", "", Few}, why(asks), "who asks for it gets what there is")
	}
	for side := range b.Sides {
		b.Sides[side].Asked = b.Sides[side].Asked[2:]
	}
	p = Plan{}
	p.Choose(nil, b)
	require.NotContains(t, p.Units, RequestP50)
	require.Contains(t, p.Omitted, Omitted{RequestP50, Few})
	for side := range b.Sides {
		b.Sides[side].Asked = nil
	}
	p.Choose(nil, b)
	require.Nil(t, p.Requests)
	require.NotContains(t, p.Omitted, Omitted{RequestP50, Few})
}
