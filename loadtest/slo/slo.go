// Package slo holds service level objectives: what latencies and failures of a level must keep so
// that its throughput counts.
package slo

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"rampart/loadtest/inject"
)

// SLO is a list of objectives, all of which have to be kept. The zero value asks for nothing.
type SLO []Objective

// Objective bounds one property of a level.
type Objective struct {
	// Name is that of the property: "mean" or "failed", or "p99" and the like, of any percentile.
	Name string
	// Limit is what the property has to be less than: seconds, or of "failed" a share of all
	// requests.
	Limit float64

	quantile float64 // of a percentile: its share
	text     string  // as it was written
}

const (
	mean   = "mean"
	failed = "failed"
)

const want = "want objectives with commas between, such as p99<50ms,mean<20ms,failed<0.1%"

// Parse reads objectives with commas between, such as "p99<50ms,mean<20ms,failed<0.1%". A
// percentile has any number between 0 and 100, failures a number with a % or a share of 1. An empty
// string is no SLO. The error says what would be right.
func Parse(s string) (SLO, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var slo SLO
	for part := range strings.SplitSeq(s, ",") {
		o, err := parseObjective(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(slo, func(p Objective) bool { return p.Name == o.Name }) {
			return nil, fmt.Errorf("%s is bounded twice: want each once", o.Name)
		}
		slo = append(slo, o)
	}
	return slo, nil
}

func parseObjective(s string) (Objective, error) {
	name, limit, found := strings.Cut(s, "<")
	name, limit = strings.TrimSpace(name), strings.TrimSpace(limit)
	if !found || name == "" || limit == "" {
		return Objective{}, fmt.Errorf("%q: %s", s, want)
	}
	o := Objective{Name: name, text: name + "<" + limit}
	if name == failed {
		share, err := parseShare(limit)
		o.Limit = share
		return o, err
	}
	if name != mean {
		percent, err := strconv.ParseFloat(strings.TrimPrefix(name, "p"), 64)
		if err != nil || !strings.HasPrefix(name, "p") || !plain(name[1:]) || percent <= 0 || percent >= 100 {
			return Objective{}, fmt.Errorf("%q: want mean, failed, or a percentile between p0 and p100, such as p99.9", name)
		}
		o.quantile = percent / 100
		o.Name = "p" + strconv.FormatFloat(percent, 'f', -1, 64)
	}
	d, err := time.ParseDuration(limit)
	if err != nil || d < time.Microsecond {
		return Objective{}, fmt.Errorf("%q: want a duration with a unit, of at least 1µs, such as 50ms", limit)
	}
	o.Limit = d.Seconds()
	return o, nil
}

func parseShare(s string) (float64, error) {
	number, percent := strings.CutSuffix(s, "%")
	number = strings.TrimSpace(number)
	share, err := strconv.ParseFloat(number, 64)
	if percent {
		share /= 100
	}
	if err != nil || !plain(number) || share <= 0 || share > 1 {
		return 0, fmt.Errorf("%q: want a share of all requests, such as 0.1%% or 0.001", s)
	}
	return share, nil
}

// plain reports whether s is a number as people write it: digits and a point.
func plain(s string) bool { return strings.Trim(s, "0123456789.") == "" }

// String is what Parse reads.
func (s SLO) String() string {
	var all []string
	for _, o := range s {
		all = append(all, o.text)
	}
	return strings.Join(all, ",")
}

// BoundsFailures reports whether an objective says how many requests may fail. Without one, none
// may.
func (s SLO) BoundsFailures() bool {
	return slices.ContainsFunc(s, func(o Objective) bool { return o.Name == failed })
}

// Share is the property of a measurement as a ratio, part of whole, which can be added up over
// measurements, and the limit that it has to stay below. Of a percentile that is how many requests
// are not faster than the limit; a request that failed has no latency.
func (o Objective) Share(m inject.Measurement) (part, whole, limit float64) {
	switch {
	case o.Name == failed:
		n := float64(m.Failures.Total())
		return n, n + float64(m.Completed), o.Limit
	case o.Name == mean:
		return m.LatencySum.Seconds(), float64(m.Requests), o.Limit
	}
	return float64(notFaster(m, o.Limit)), float64(m.Requests), 1 - o.quantile + exactly
}

// Counts reports whether Share counts requests, of which a few say little.
func (o Objective) Counts() bool { return o.Name != mean }

// Value is the property of a measurement itself: seconds, or of "failed" a share. It is 0 without
// requests.
func (o Objective) Value(m inject.Measurement) float64 {
	if o.quantile > 0 {
		return m.Quantile(o.quantile).Seconds()
	}
	part, whole, _ := o.Share(m)
	if whole == 0 {
		return 0
	}
	return part / whole
}

// Text is a value of the property as people read it.
func (o Objective) Text(value float64) string {
	switch {
	case math.IsInf(value, 0):
		return "?"
	case o.Name == failed:
		return fmt.Sprintf("%.3g%%", 100*value)
	}
	return round(time.Duration(value * float64(time.Second))).String()
}

// String is the objective as it was written, without blanks.
func (o Objective) String() string { return strings.Join(strings.Fields(o.text), "") }

// exactly lets a percentile be kept where exactly as many requests as may be are not faster.
const exactly = 1e-9

// notFaster counts the requests of a measurement that took a time or longer, with the precision of
// its histogram.
func notFaster(m inject.Measurement, seconds float64) int64 {
	if m.Latency == nil {
		return 0
	}
	var n int64
	for _, bar := range m.Latency.Distribution() {
		if float64(bar.To)/1e6 >= seconds {
			n += bar.Count
		}
	}
	return n
}

// Broken says of each objective that a measurement does not keep what it is instead; nil: it keeps
// all. What no request has told is kept.
func (s SLO) Broken(m inject.Measurement) []string {
	var all []string
	for _, o := range s {
		part, whole, limit := o.Share(m)
		broken := whole > 0 && part/whole >= limit
		if o.quantile > 0 { // what is reported decides: of few requests, it is not exactly the share
			broken = m.Requests > 0 && m.Quantile(o.quantile).Seconds() >= o.Limit
		}
		if broken {
			all = append(all, fmt.Sprintf("%s %s, wanted %s", o.Name, o.value(m, part/whole), o.text))
		}
	}
	return all
}

// value is the property itself, for people.
func (o Objective) value(m inject.Measurement, share float64) string {
	switch o.Name {
	case failed:
		return fmt.Sprintf("%.3g %%", 100*share)
	case mean:
		return round(m.Mean()).String()
	}
	return round(m.Quantile(o.quantile)).String()
}

func round(d time.Duration) time.Duration {
	for unit := time.Second; unit > time.Microsecond; unit /= 10 {
		if d >= 100*unit {
			return d.Round(unit)
		}
	}
	return d.Round(time.Microsecond)
}

// Err is an error that names what a measurement does not keep; nil: it keeps all.
func (s SLO) Err(m inject.Measurement) error {
	broken := s.Broken(m)
	if broken == nil {
		return nil
	}
	return errors.New(strings.Join(broken, "; "))
}
