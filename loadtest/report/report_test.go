package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
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
func level(vus int, requests uint64, p50 time.Duration) Level {
	h := hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 3)
	var sum time.Duration
	for i := range requests {
		latency := p50/2 + p50*time.Duration(i)/time.Duration(requests)
		sum += latency
		_ = h.RecordValue(latency.Microseconds())
	}
	return Level{
		Measurement: inject.Measurement{
			VUs: vus, Warmup: time.Second, Window: 10 * time.Second,
			Requests: requests, Completed: requests + requests/10, Latencies: sum, Latency: h,
			Strain: inject.Strain{Busy: 0.25, Delay: 20 * time.Microsecond},
		},
		Accepted:  true,
		ServerCPU: &CPU{Used: 9 * time.Second, Elapsed: 10 * time.Second},
		ClientCPU: &CPU{Used: time.Second / 2, Elapsed: 10 * time.Second},
		Stolen:    &CPU{Used: time.Second / 10, Elapsed: 10 * time.Second},
	}
}

func ramp() Result {
	last := level(4, 5300, 7*time.Millisecond)
	last.Accepted = false
	last.Doubts = Doubts{{Kind: "littles-law", Text: "throughput times latency gives 3.71 busy VUs, which breaks Little's law"}}
	return Result{
		Kind:     KindRamp,
		Version:  "v1.2.3",
		Started:  time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		Elapsed:  33 * time.Second,
		Target:   "http://192.0.2.1:8080/?it1=60000&it2=1",
		Settings: []Setting{{"DURATION", "10s"}, {"WARMUP", "1s"}},
		Machine:  Machine{Host: "client", OS: "linux", Arch: "amd64", CPU: "Model 1", CPUs: 2},
		Levels:   []Level{level(1, 2797, 3*time.Millisecond), level(2, 5264, 4*time.Millisecond), last},
		Stop:     Stop{Reason: capacity.Knee, Detail: "from 2 to 4 vus throughput grew by 0.68 %, less than 5 %"},
	}
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
	broken.Stop = Stop{Reason: capacity.Failures, Detail: "5 requests failed at 4 vus"}
	broken.Levels[2].Failures[inject.Timeout] = 3
	broken.Levels[2].Failures[inject.Dial] = 2
	broken.Levels[2].Latency = nil
	broken.Levels[2].Requests = 0

	levels := ramp()
	levels.Kind = KindLevels
	levels.Stop = Stop{}
	levels.Levels[1].ServerCPU = nil
	levels.Levels[2].Partial = true

	for name, r := range map[string]Result{"ramp": ramp(), "failures": broken, "levels": levels, "empty": {Kind: KindRamp}} {
		t.Run(name, func(t *testing.T) {
			var csv, bench, doc bytes.Buffer
			require.NoError(t, CSV(&csv, r))
			golden(t, name+".csv", csv.Bytes())
			require.NoError(t, Bench(&bench, r))
			golden(t, name+".bench.txt", bench.Bytes())
			require.NoError(t, JSON(&doc, r))
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

func TestJSONHistogramsCanBeMerged(t *testing.T) {
	var b bytes.Buffer
	r := ramp()
	require.NoError(t, JSON(&b, r))
	var doc document
	require.NoError(t, json.Unmarshal(b.Bytes(), &doc))
	merged := hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 3)
	for _, l := range doc.Levels {
		h, err := hdrhistogram.Decode([]byte(l.Latency.Histogram))
		require.NoError(t, err)
		require.Zero(t, merged.Merge(h))
	}
	require.EqualValues(t, 2797+5264+5300, merged.TotalCount())
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

	for svg := range strings.SplitSeq(html, "<svg") {
		if inner, _, ok := strings.Cut(svg, "</svg>"); ok {
			d := xml.NewDecoder(strings.NewReader("<svg" + inner + "</svg>"))
			for {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else {
					require.NoError(t, err)
				}
			}
		}
	}
	require.NoError(t, HTML(io.Discard, Result{Kind: KindLevels}), "no level yet")
	require.NoError(t, HTML(io.Discard, Result{Kind: KindLevels, Levels: r.Levels[:1]}), "one level")
}
