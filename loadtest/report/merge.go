package report

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"rampart/loadtest/inject"
)

// DoubtSkew is the kind of the doubt that clients were not loading at the same time.
const DoubtSkew = "start-skew"

// skewShare is the share of the window by which clients may have begun apart before it is a doubt: so much of their rates
// were not there at the same time.
const skewShare = 0.05

// Merge makes one level of those that several clients measured at the same time on the same server. In the result
//   - VUs, requests, failures by class, and rates are the sums; a rate is over the client's own window, and Window is the
//     longest;
//   - latencies are those of the merged histogram, which holds exactly what one histogram of all requests would, and the
//     mean is that of all requests;
//   - the processor time of the server for one request is the server's over all requests: each client has read the same
//     counter of all that the server did, so the cores in use are averaged, weighted by the length of the windows, and
//     divided by the sum of the rates;
//   - that of the clients is the sum of their cores over the sum of the rates, not known where one does not know its own;
//   - Strain is the highest of each; Stolen is not known, because clients may share a machine;
//   - Doubts are all of them, with the number of the client, the first being 1, and a further one where clients began too
//     far apart;
//   - Started is the first of them, Partial says that any client's level is; Accepted that all are;
//   - Clients are the levels as they were, with the skew of the start of each.
//
// The error says what keeps levels from being merged.
func Merge(levels []Level) (Level, error) {
	if len(levels) == 0 {
		return Level{}, errors.New("merge levels: there is none")
	}
	latency, err := mergeHistograms(levels)
	if err != nil {
		return Level{}, fmt.Errorf("merge levels: %w", err)
	}
	m := Level{
		Measurement: inject.Measurement{Started: levels[0].Started, Warmup: levels[0].Warmup, Latency: latency},
		Accepted:    true,
		Clients:     slices.Clone(levels),
	}
	var server, client CPU
	clientCores, clientKnown := 0.0, true
	for i, l := range levels {
		if len(l.Clients) > 0 {
			return Level{}, fmt.Errorf("merge levels: client %d is merged already: merge the levels of all clients at once", i+1)
		}
		m.VUs += l.VUs
		m.Requests += l.Requests
		m.Completed += l.Completed
		m.Latencies += l.Latencies
		m.Connects += l.Connects
		for class, n := range l.Failures {
			m.Failures[class] += n
		}
		m.Window = max(m.Window, l.Window)
		m.Warmup = max(m.Warmup, l.Warmup)
		if l.Started.Before(m.Started) {
			m.Started = l.Started
		}
		m.Accepted = m.Accepted && l.Accepted
		m.Partial = m.Partial || l.Partial
		m.Strain.Busy = max(m.Strain.Busy, l.Strain.Busy)
		m.Strain.Delay = max(m.Strain.Delay, l.Strain.Delay)
		if l.ServerCPU != nil {
			server.Used += l.ServerCPU.Used
			server.Elapsed += l.ServerCPU.Elapsed
		}
		if l.ClientCPU != nil {
			clientCores += l.ClientCPU.Cores()
		}
		clientKnown = clientKnown && l.ClientCPU != nil
		for _, d := range l.Doubts {
			m.Doubts = append(m.Doubts, Doubt{Kind: d.Kind, Text: fmt.Sprintf("client %d: %s", i+1, d.Text)})
		}
	}
	if server.Elapsed > 0 {
		m.ServerCPU = &server
	}
	if clientKnown {
		client = CPU{Used: time.Duration(clientCores * float64(m.Window)), Elapsed: m.Window}
		m.ClientCPU = &client
	}
	if apart := apart(levels); apart.Seconds() > skewShare*m.Window.Seconds() {
		m.Doubts = append(m.Doubts, Doubt{Kind: DoubtSkew, Text: fmt.Sprintf(
			"clients began up to %v apart, %.0f %% of the window: their rates were not there at the same time",
			apart.Round(time.Millisecond), 100*apart.Seconds()/m.Window.Seconds())})
	}
	return m, nil
}

// apart is the time between the first start and the last. It is 0 where one is not known.
func apart(levels []Level) time.Duration {
	first, last := levels[0].Started, levels[0].Started
	for _, l := range levels {
		if l.Started.IsZero() {
			return 0
		}
		if l.Started.Before(first) {
			first = l.Started
		}
		if l.Started.After(last) {
			last = l.Started
		}
	}
	return last.Sub(first)
}

// mergeHistograms adds up the histograms, which must have the same unit and precision, in one that holds the longest
// latency of each. It is nil where there is none.
func mergeHistograms(levels []Level) (*hdrhistogram.Histogram, error) {
	var first *hdrhistogram.Histogram
	var highest int64
	for i, l := range levels {
		h := l.Latency
		switch {
		case h == nil && l.Requests > 0:
			return nil, fmt.Errorf("client %d has %d requests and no histogram", i+1, l.Requests)
		case h == nil:
			continue
		case h.TotalCount() != int64(l.Requests):
			return nil, fmt.Errorf("client %d has %d requests and %d latencies", i+1, l.Requests, h.TotalCount())
		case first == nil:
			first = h
		case h.SignificantFigures() != first.SignificantFigures() || h.LowestTrackableValue() != first.LowestTrackableValue():
			return nil, fmt.Errorf("the histogram of client %d has %d digits from %d µs, another has %d from %d µs: want the same of all",
				i+1, h.SignificantFigures(), h.LowestTrackableValue(), first.SignificantFigures(), first.LowestTrackableValue())
		}
		highest = max(highest, h.HighestTrackableValue())
	}
	if first == nil {
		return nil, nil
	}
	sum := hdrhistogram.New(first.LowestTrackableValue(), highest, int(first.SignificantFigures()))
	for i, l := range levels {
		if l.Latency == nil {
			continue
		}
		if lost := sum.Merge(l.Latency); lost > 0 { // cannot be: it reaches far enough
			return nil, fmt.Errorf("%d latencies of client %d do not fit the merged histogram", lost, i+1)
		}
	}
	return sum, nil
}
