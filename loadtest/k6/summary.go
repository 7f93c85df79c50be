package k6

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"rampart/loadtest/inject"
)

// summary is what the script says at the end of a run. The zero value: nothing was counted.
type summary struct {
	Version  int                `json:"rampart"`
	Latency  map[string]float64 `json:"latency"` // statistics in milliseconds by k6's names; empty: no request
	Outside  float64            `json:"outside"`
	Connects float64            `json:"connects"` // milliseconds
	Failures map[string]float64 `json:"failures"`
}

// parseSummary reads the output of k6. The error says what is wrong with it.
func parseSummary(out []byte) (summary, error) {
	var s summary
	if err := json.Unmarshal(out, &s); err != nil {
		return summary{}, fmt.Errorf("%w in %.200q", err, out)
	}
	if s.Version != 1 {
		return summary{}, fmt.Errorf("it is not our script's: %.200q", out)
	}
	counts := []float64{s.Outside, s.count()}
	for _, n := range s.Failures {
		counts = append(counts, n)
	}
	for _, n := range counts {
		if n < 0 || n != math.Trunc(n) {
			return summary{}, fmt.Errorf("%v is no count", n)
		}
	}
	if s.count() == 0 {
		return s, nil
	}
	for _, name := range trendStats() {
		if v, ok := s.Latency[name]; !ok || v < 0 {
			return summary{}, fmt.Errorf("latency %s is %v", name, v)
		}
	}
	if s.Latency["max"] < s.Latency["min"] {
		return summary{}, errors.New("the highest latency is lower than the lowest")
	}
	return s, nil
}

// count is the number of requests in the window.
func (s summary) count() float64 { return s.Latency["count"] }

// measurement is the summary of a level in our terms, but for the length of the window.
func (s summary) measurement(load inject.Load) inject.Measurement {
	m := inject.Measurement{
		VUs:        load.VUs,
		Warmup:     load.Warmup,
		Requests:   uint64(s.count()),
		Completed:  uint64(s.count() + s.Outside),
		LatencySum: duration(s.Latency["avg"] * s.count()),
		ConnectSum: duration(s.Connects),
		Latency:    histogram(s.Latency, load.Timeout),
	}
	for class := range m.Failures {
		m.Failures[class] = uint64(s.Failures[inject.Class(class).String()])
	}
	return m
}

func duration(ms float64) time.Duration {
	return time.Duration(math.Round(ms * float64(time.Millisecond)))
}
