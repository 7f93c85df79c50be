package report

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/perf/benchfmt"

	"rampart/loadtest/capacity"
	"rampart/loadtest/inject"
	"rampart/loadtest/report/chart/charttest"
	"rampart/loadtest/result"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("..", "..", "testdata", "report", name)
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o666))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(string(want), string(got)))
}

// level makes a level whose latencies spread evenly from half of p50 to one and a half of it.
func level(vus int, requests uint64, p50 time.Duration) result.Level {
	h := hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 3)
	var sum time.Duration
	for i := range requests {
		latency := p50/2 + p50*time.Duration(i)/time.Duration(requests)
		sum += latency
		_ = h.RecordValue(latency.Microseconds())
	}
	return result.Level{
		Measurement: inject.Measurement{
			VUs: vus, Warmup: time.Second, Window: 10 * time.Second,
			Requests: requests, Completed: requests + requests/10, LatencySum: sum, Latency: h,
			Strain: inject.Strain{Busy: 0.25, Delay: 20 * time.Microsecond},
		},
		Accepted:  true,
		ServerCPU: &result.CPU{Used: 9 * time.Second, Elapsed: 10 * time.Second},
		ClientCPU: &result.CPU{Used: time.Second / 2, Elapsed: 10 * time.Second},
		Stolen:    &result.CPU{Used: time.Second / 10, Elapsed: 10 * time.Second},
	}
}

func ramp() result.Result {
	last := level(4, 5300, 7*time.Millisecond)
	last.Accepted = false
	last.Doubts = result.Doubts{{Kind: "littles-law",
		Text: "throughput times latency gives 3.71 busy VUs, which breaks Little's law"}}
	return result.Result{
		Kind:     result.KindRamp,
		Version:  "v1.2.3",
		Started:  time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		Elapsed:  33 * time.Second,
		Target:   "http://192.0.2.1:8080/?it1=60000&it2=1",
		Settings: []result.Setting{{Name: "DURATION", Value: "10s"}, {Name: "WARMUP", Value: "1s"}},
		Machine:  result.Machine{Host: "client", OS: "linux", Arch: "amd64", CPU: "Model 1", CPUs: 2},
		Levels:   []result.Level{level(1, 2797, 3*time.Millisecond), level(2, 5264, 4*time.Millisecond), last},
		Stop:     result.Stop{Reason: capacity.Knee, Detail: "from 2 to 4 vus throughput grew by 0.68 %, less than 5 %"},
	}
}

// mixed is a ramp whose levels were asked so many requests.
func mixed(requests int) result.Result {
	r := ramp()
	r.Target = "requests of targets.txt to 192.0.2.1:8080"
	for i := range r.Levels {
		l := &r.Levels[i]
		for k := range requests {
			a := inject.Asked{
				Name: fmt.Sprintf(
					"GET /%d?q={seq}",
					k,
				), Requests: l.Requests / uint64(requests), Completed: l.Completed / uint64(requests),
				Latency: hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 2),
			}
			took := time.Duration(k+1) * time.Millisecond
			a.LatencySum = time.Duration(a.Requests) * took
			_ = a.Latency.RecordValues(took.Microseconds(), int64(a.Requests))
			l.Asked = append(l.Asked, a)
		}
	}
	last := &r.Levels[len(r.Levels)-1]
	last.Failures[inject.Status], last.Asked[1].Failures[inject.Status] = 7, 7
	last.Asked[requests-1].Name, last.Asked[requests-1].Others = "950 other requests", 950
	return r
}

// TestOfManyRequestsTheWorstAreSaid holds that a text stays short, and says what it leaves out.
func TestOfManyRequestsTheWorstAreSaid(t *testing.T) {
	r := mixed(51)
	text := Summary(r)
	require.Contains(t, text, "failures at 4 vus: status 7; of GET /1?q={seq} 7 of ")
	require.Contains(t, text, "each request at 2 vus:\n")
	require.Contains(t, text, "GET /50?q={seq}\n")
	require.NotContains(t, text, "GET /30?q={seq}\n")
	require.Contains(t, text, "… and 31 more, none of which failed more often or took longer (result.json has all)\n")
	r.Levels = r.Levels[2:]
	require.Contains(t, Summary(r), "  GET /1?q={seq}\n", "it failed, and there is no capacity")
	require.NotContains(t, Summary(ramp()), "each request")
	var html bytes.Buffer
	require.NoError(t, HTML(&html, mixed(51)))
	require.Equal(t, 51, strings.Count(html.String(), "?q={seq}</td>"))
	require.Contains(t, html.String(), "<h2>Requests at 2 VUs</h2>")
	html.Reset()
	require.NoError(t, HTML(&html, ramp()))
	require.NotContains(t, html.String(), "<h2>Requests")
}

func TestLine(t *testing.T) {
	require.Equal(t, "Injecting with 2 vus. rps=526.4 resp_time=5.799 res_failed=0", Line(ramp().Levels[1]))
}

func TestNumber(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0", 279.57333903745644: "279.57", 280.40420: "280.4", 31.8923282: "31.89", 5.2819: "5.282", 0.031: "0.031",
		0.0312345: "0.03123", 100000: "100000", 123456.789: "123456.79", 1: "1", 9.99999: "10", 0.2333333: "0.2333",
	} {
		require.Equal(t, want, number(x), "%v", x)
	}
}

func TestGolden(t *testing.T) {
	previous := runtime.GOMAXPROCS(2) // it is part of a benchmark's name
	defer runtime.GOMAXPROCS(previous)

	broken := ramp()
	broken.Stop = result.Stop{Reason: capacity.RequestsFailed, Detail: "5 requests failed at 4 vus"}
	broken.Levels[2].Failures[inject.Timeout] = 3
	broken.Levels[2].Failures[inject.Dial] = 2
	broken.Levels[2].Latency = nil
	broken.Levels[2].Requests = 0

	levels := ramp()
	levels.Kind = result.KindLevels
	levels.Stop = result.Stop{}
	levels.Levels[1].ServerCPU = nil
	levels.Levels[2].Partial = true

	for name, r := range map[string]result.Result{"ramp": ramp(), "failures": broken, "levels": levels,
		"empty": {Kind: result.KindRamp}, "requests": mixed(3)} {
		t.Run(name, func(t *testing.T) {
			var csv, bench, doc bytes.Buffer
			require.NoError(t, CSV(&csv, r))
			golden(t, name+".csv", csv.Bytes())
			require.NoError(t, Bench(&bench, r))
			golden(t, name+".bench.txt", bench.Bytes())
			require.NoError(t, result.JSON(&doc, r))
			// How well a histogram is compressed may change with Go; what is in it is tested below.
			golden(t, name+".json", histogram.ReplaceAll(doc.Bytes(), []byte(`"histogram_us": "…"`)))
			golden(t, name+".summary.txt", []byte(Summary(r)))
		})
	}
}

var histogram = regexp.MustCompile(`"histogram_us": ?"[^"]+"`)

// TestBenchReads reads what Bench writes as benchstat does.
func TestBenchReads(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, Bench(&b, ramp()))
	reader := benchfmt.NewReader(&b, "bench.txt")
	var names []string
	for reader.Scan() {
		switch rec := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			t.Fatal(rec)
		case *benchfmt.Result:
			require.Empty(t, rec.Config, "a configuration line would split tables")
			base, parts := rec.Name.Parts()
			name := string(base)
			for _, p := range parts {
				name += string(p)
			}
			names = append(names, regexp.MustCompile(`-\d+$`).ReplaceAllString(name, ""))
			for _, v := range rec.Values {
				require.NotZero(t, reader.Units().GetBetter(v.Unit), "unit %s has no direction", v.Unit)
			}
		}
	}
	require.NoError(t, reader.Err())
	require.Equal(t, []string{"Level/vus=1", "Level/vus=2", "Level/vus=4", "Ramp"}, names)
}

func TestHTML(t *testing.T) {
	r := ramp()
	r.Target = "http://192.0.2.1/<script>"
	var b bytes.Buffer
	require.NoError(t, HTML(&b, r))
	html := b.String()
	require.Contains(t, html, "526.4")
	require.Contains(t, html, "breaks Little&#39;s law")
	require.Contains(t, html, "stop reason: knee")
	require.NotContains(t, html, "<script>")
	require.Equal(t, 2, strings.Count(html, "<svg"))
	require.NotRegexp(t, `(src|href)\s*=\s*"http|@import|url\(`, html, "the page needs no network")
	require.Contains(t, html, `<b>526.4 requests/s</b> <span>2 VUs</span>`)
	require.Contains(t, html, `<b class="regressed">1 doubt</b>`)

	charts := charttest.Page(t, html)
	require.Equal(t, []string{
		"at 1 VUs: 279.7 requests/s", "at 2 VUs: 526.4 requests/s",
		"at 4 VUs: 530 requests/s\nnot accepted by the stop rule\n" +
			"throughput times latency gives 3.71 busy VUs, which breaks Little's law",
	}, charts[0].Titles)
	require.Equal(t, 9, charts[1].Points)
	require.Subset(t, charts[1].Texts, []string{"p99", "p95", "p50", "knee", "virtual users", "milliseconds"})

	require.NoError(t, HTML(io.Discard, result.Result{Kind: result.KindLevels}), "no level yet")
	require.NoError(t, HTML(io.Discard, result.Result{Kind: result.KindLevels, Levels: r.Levels[:1]}), "one level")
	b.Reset()
	require.NoError(t, HTML(&b, result.Result{Kind: result.KindRamp, Stop: result.Stop{Reason: capacity.RequestsFailed}}))
	require.Contains(t, b.String(), "0 levels, and no capacity.")
}

// confident is a ramp whose levels were measured in rounds.
func confident() result.Result {
	r := ramp()
	at := time.Duration(0)
	for i := range r.Levels {
		l := &r.Levels[i]
		l.Doubts = nil
		x := l.Throughput()
		l.Lower, l.Upper = 0.9*x, 1.1*x
		for round := range 100 {
			at += 50 * time.Millisecond
			l.Rounds = append(l.Rounds, result.Round{Round: round + 1, At: at, Length: 50 * time.Millisecond, Throughput: x})
		}
	}
	r.Estimate = &capacity.Estimate{
		VUs: 2, Throughput: 520, Lower: 468, Upper: 572, Knee: 2, KneeLower: 2, KneeUpper: 4, Accepted: []int{1, 2},
		Rounds: 100,
	}
	r.Seed = 7
	return r
}

func TestHTMLOfAConfidentRamp(t *testing.T) {
	p := capacity.Parameter{Value: 0.02, Lower: 0.01, Upper: 0.03}
	fits := &capacity.Scalability{
		Lambda: capacity.Parameter{Value: 280, Lower: 270, Upper: 290}, Sigma: p, Kappa: p,
		Peak:           capacity.Parameter{Value: 7, Lower: 6, Upper: 8},
		PeakThroughput: capacity.Parameter{Value: 900, Lower: 800, Upper: 1000},
	}
	page := func(r result.Result) (string, []charttest.Drawing) {
		var b bytes.Buffer
		require.NoError(t, HTML(&b, r))
		return b.String(), charttest.Page(t, b.String())
	}
	r := confident()
	r.Scalability = fits
	html, charts := page(r)
	require.Contains(t, html, `<b>520.0 requests/s</b> <span>± 10 %, from 468.0 to 572.0, at 2 VUs</span>`)
	require.Contains(t, html, `<b>2 VUs</b> <span>it may be anywhere from 2 to 4 VUs</span>`)
	require.Contains(t, html, `<b class="pass">no doubts</b> <span>stopped: knee</span>`)
	require.Contains(t, html, "Scalability model: contention σ 2 % (1 to 3), crosstalk κ 2 % (1 to 3); "+
		"most at 7 vus (6 to 8): 900 requests/s.")
	require.Contains(t, html, "<td>± 10 %</td>")
	require.Contains(t, html, "<dt>seed</dt><dd>7</dd>")
	require.Len(t, charts, 3)
	require.Equal(t, "at 2 VUs: 526.4 requests/s ± 10 %", charts[0].Titles[1])
	require.Equal(t, 6, charts[0].Points, "each with an error bar")
	require.Subset(t, charts[0].Texts, []string{"measured", "model", "knee"})
	require.Subset(t, charts[2].Texts, []string{"other levels", "at 2 VUs", "interval of the capacity"})
	require.Len(t, charts[2].Titles, 34, "100 windows, three in a point")
	require.Equal(t, "after 5.1 s: 526.4 requests/s, in 3 windows", charts[2].Titles[0])
	require.Less(t, len(html), 60000)

	r.Scalability = &capacity.Scalability{Refused: "it does not fit: at 4 vus"}
	r.Doubts = result.Doubts{{Kind: "unsteady", Text: "the rounds scatter"}, {Kind: "machine-shared", Text: "others"}}
	html, charts = page(r)
	require.Contains(t, html, "There is no scalability model: it does not fit: at 4 vus.")
	require.Contains(t, html, `<b class="regressed">2 doubts</b>`)
	require.Contains(t, html, "<li>doubt: the rounds scatter</li><li>doubt: others</li>")
	require.NotContains(t, charts[0].Texts, "model")
	r.Scalability = &capacity.Scalability{Lambda: fits.Lambda, Sigma: p, NoPeak: "it levels off"}
	html, _ = page(r)
	require.Contains(t, html, "; it predicts no most: it levels off.")
	require.Contains(t, Summary(r), "scalability: contention σ 2 % (1 to 3), crosstalk κ 0 % (0 to 0)\n")
	require.LessOrEqual(t, strings.Count(Summary(r), "\n"), 10)
}

func TestLive(t *testing.T) {
	r := confident()
	r.Elapsed, r.Left = 12*time.Second, 21*time.Second
	require.Equal(t, `   vus  requests/s          p95 ms
     1       279.7  ± 10 %   4.351
>    2       526.4  ± 10 %   5.799
     4       530.0  ± 10 %   10.15
capacity so far: 520.0 requests/s ± 10 % at 2 VUs
100 rounds, 12s of about 33s
`, Live(r))
	require.NotPanics(t, func() { Live(result.Result{Kind: result.KindRamp}) })
}

func TestPlot(t *testing.T) {
	r := confident()
	require.Equal(t, `530.0      ███ ███
           ███ ███
       ▅▅▅ ███ ███
       ███ ███ ███
    0  ███ ███ ███
         1   2   4 vus
`, Plot(r, 80))
	require.Contains(t, Plot(r, 16), " 2 vus\n", "only what fits")
	require.Empty(t, Plot(r, 5))
	require.Empty(t, Plot(result.Result{}, 80))
}

func TestShort(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0.000", 0.12345: "0.123", 9.8765: "9.877", 279.57: "279.6", 10602.6: "10603",
	} {
		require.Equal(t, want, short(x))
	}
}
