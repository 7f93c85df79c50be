package result

import (
	"bytes"
	"encoding/json"
	"flag"
	"regexp"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"

	"rampart/loadtest/capacity"
	"rampart/loadtest/inject"
)

var (
	update    = flag.Bool("update", false, "write the golden files")
	histogram = regexp.MustCompile(`"histogram_us": ?"[^"]+"`)
)

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
			Requests: requests, Completed: requests + requests/10, LatencySum: sum, Latency: h,
			Strain: inject.Strain{Busy: 0.25, Delay: 20 * time.Microsecond},
		},
		Accepted:  true,
		ServerCPU: &CPU{Used: 9 * time.Second, Elapsed: 10 * time.Second},
		ClientCPU: &CPU{Used: time.Second / 2, Elapsed: 10 * time.Second},
		Stolen:    &CPU{Used: time.Second / 10, Elapsed: 10 * time.Second},
		Others:    &CPU{Used: time.Second / 4, Elapsed: 10 * time.Second},
	}
}

func ramp() Result {
	last := level(4, 5300, 7*time.Millisecond)
	last.Accepted = false
	last.ServerCPU, last.NoServerCPU = nil, "a part of it has ended"
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

func TestJSONHistogramsCanBeMerged(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, JSON(&b, ramp()))
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

// TestJSONOfAConfidentRamp has what only such a ramp has, also an interval that begins at 0.
func TestJSONOfAConfidentRamp(t *testing.T) {
	p := capacity.Parameter{Value: 2, Lower: 0, Upper: 3}
	for _, model := range []*capacity.Scalability{
		{Refused: "it does not fit"},
		{Lambda: p, Sigma: p, Kappa: p, Peak: p, PeakThroughput: p},
		{Lambda: p, Sigma: p, NoPeak: "it levels off"},
		nil,
	} {
		r := ramp()
		r.Estimate = &capacity.Estimate{
			VUs: 2, Throughput: 530, Upper: 700, Knee: 2, KneeLower: 2, KneeUpper: 4, Accepted: []int{1, 2}, Rounds: 30,
		}
		r.Seed, r.Scalability = 7, model
		r.Doubts = Doubts{{Kind: "unsteady", Text: "it is"}}
		r.Levels[1].Upper = 600
		r.Levels[1].Rounds = []Round{{Round: 3, At: time.Second, Length: time.Millisecond, Requests: 5, Throughput: 5000}}
		var b bytes.Buffer
		require.NoError(t, JSON(&b, r))
		require.Contains(t, b.String(), `"lower": 0`)
		read, err := ReadJSON(&b)
		require.NoError(t, err)
		require.Equal(t, r.Estimate, read.Estimate)
		require.Equal(t, r.Scalability, read.Scalability)
		require.Equal(t, r.Doubts, read.Doubts)
		require.Equal(t, r.Seed, read.Seed)
		require.Equal(t, r.Levels[1].Rounds, read.Levels[1].Rounds)
		require.Equal(t, [2]float64{0, 600}, [2]float64{read.Levels[1].Lower, read.Levels[1].Upper})
		require.Zero(t, read.Levels[0].Upper)
	}
}

func TestReadJSONRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "EOF",
		"{":                          "EOF",
		`{"version":2}`:              "version 2: want 1",
		`{"levels":[]}`:              "version 0: want 1",
		`{"version":"x"}`:            "version",
		`{"version":1} {`:            "something comes after the result",
		`{"version":1}{"version":1}`: "something comes after the result",
		`{"version":1,"levels":[{"vus":3,"failures":{"odd":1}}]}`:                   `level of 3 VUs: class of failure "odd"`,
		`{"version":1,"levels":[{"vus":3,"failures":{"ok":1}}]}`:                    `class of failure "ok"`,
		`{"version":1,"levels":[{"vus":3,"latency":{"histogram_us":"HISTFAAA"}}]}`:  "histogram",
		`{"version":1,"levels":[{"vus":3,"clients":[{"failures":{"nothing":1}}]}]}`: `class of failure "nothing"`,
	} {
		_, err := ReadJSON(bytes.NewReader([]byte(text)))
		require.ErrorContains(t, err, want, text)
	}
}
