package result

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"rampart/loadtest/inject"
)

// Kinds of the doubts that a level has because several clients measured it.
const (
	DoubtOverlap = "window-overlap" // their windows were not open at the same time
	DoubtIdle    = "idle-client"    // a client's VUs are counted, and nothing that they did
	DoubtClients = "clients-differ" // they did not measure the same
)

// overlapShare is the share of the longest window for which the windows of all clients must have
// been open together. Where it is less, more than a twentieth of some client's rate was not there
// when the others' was, and their sum never was.
const overlapShare = 0.95

// Merge makes one level of those that several clients measured at the same time on the same server.
// In the result
//   - VUs, requests, failures by class, answers by status, and rates are the sums, and so is what is known of single
//     requests; a rate is over the client's own window, and Window is the longest;
//   - latencies are those of the merged histogram, which holds exactly what one histogram of all requests would, and the
//     mean is that of all requests;
//   - the processor time of the server for one request is the server's over all requests: each client has read the same
//     counter of all that the server did, so the cores in use are averaged, weighted by the length of the windows, and
//     divided by the sum of the rates;
//   - that of the clients is the sum of their cores over the sum of the rates, not known where one does not know its own;
//   - Strain is the highest of each; Stolen and Others are not known, because clients may share a machine;
//   - Doubts are all of them, with the number of the client, the first being 1, and further ones where the windows of all
//     were open together for too small a part of the longest, and where a client got no answer at all;
//   - Started is the first of them, Partial says that any client's level is; Accepted that all are;
//   - Clients are the levels as they were, with the skew of the start of each.
//
// The error says what keeps levels from being merged: windows of which two have no instant in
// common, or a level that is there twice, among others.
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
		if l.VUs < 1 || l.Window <= 0 {
			return Level{}, fmt.Errorf("merge levels: client %d has a level of %d VUs and a window of %v: want at least one VU, and "+
				"a window", i+1, l.VUs, l.Window)
		}
		if first := slices.IndexFunc(levels[:i], func(o Level) bool { return sameLevel(o, l) }); first >= 0 {
			return Level{}, fmt.Errorf("merge levels: the level of client %d is that of client %d: want one of each client", i+1, first+1)
		}
		m.VUs += l.VUs
		m.Requests += l.Requests
		m.Completed += l.Completed
		m.LatencySum += l.LatencySum
		m.ConnectSum += l.ConnectSum
		for class, n := range l.Failures {
			m.Failures[class] += n
		}
		m.Answers.Add(l.Answers)
		m.Asked = inject.AddAsked(m.Asked, l.Asked)
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
		m.NoServerCPU = cmp.Or(m.NoServerCPU, l.NoServerCPU)
		if l.ClientCPU != nil {
			clientCores += l.ClientCPU.Cores()
		}
		clientKnown = clientKnown && l.ClientCPU != nil
		for _, d := range l.Doubts {
			m.Doubts = append(m.Doubts, Doubt{Kind: d.Kind, Text: fmt.Sprintf("client %d: %s", i+1, d.Text)})
		}
	}
	if server.Elapsed > 0 { // those who know it mean the same server
		m.ServerCPU, m.NoServerCPU = &server, ""
	}
	if clientKnown {
		client = CPU{Used: time.Duration(clientCores * float64(m.Window)), Elapsed: m.Window}
		m.ClientCPU = &client
	}
	doubt, err := overlap(levels)
	if err != nil {
		return Level{}, fmt.Errorf("merge levels: %w", err)
	}
	m.Doubts = append(m.Doubts, doubt...)
	for i, l := range levels {
		if l.Requests == 0 && l.Failures.Total() == 0 && len(levels) > 1 {
			m.Doubts = append(m.Doubts, Doubt{Kind: DoubtIdle, Text: fmt.Sprintf(
				"client %d: no request of its %d VUs ended in its window, so fewer VUs than these made the load", i+1, l.VUs)})
		}
	}
	return m, nil
}

// sameLevel reports whether a and b are one level and not those of two clients: no two begin in the
// same nanosecond and measure the same.
func sameLevel(a, b Level) bool {
	return !a.Started.IsZero() && a.Started.Equal(b.Started) && a.Window == b.Window && a.Requests == b.Requests &&
		a.Completed == b.Completed && a.Failures == b.Failures && a.LatencySum == b.LatencySum
}

// overlap returns the doubt that the windows were open together for too small a part of the
// longest. The error names two that were not open together at all: what was never there at the same
// time has no sum.
func overlap(levels []Level) (Doubts, error) {
	if len(levels) < 2 {
		return nil, nil
	}
	var opened, closed time.Time // of all together
	var last, first, longest int // clients that open last, close first, and measure longest
	for i, l := range levels {
		if l.Started.IsZero() {
			return Doubts{{Kind: DoubtOverlap, Text: fmt.Sprintf(
				"client %d does not say when it began: whether all loaded at the same time is not known", i+1)}}, nil
		}
		open := l.Started.Add(l.Warmup)
		if i == 0 || open.After(opened) {
			opened, last = open, i
		}
		if end := open.Add(l.Window); i == 0 || end.Before(closed) {
			closed, first = end, i
		}
		if l.Window > levels[longest].Window {
			longest = i
		}
	}
	together, most := closed.Sub(opened), levels[longest].Window
	switch {
	case together <= 0:
		return nil, fmt.Errorf("clients %d and %d did not measure at the same time: the window of client %d closed %v before that of "+
			"client %d opened; merge levels of one START_AT, and compare the clocks of the machines",
			min(first, last)+1, max(first, last)+1, first+1, -together, last+1)
	case together.Seconds() < overlapShare*most.Seconds():
		return Doubts{{Kind: DoubtOverlap, Text: fmt.Sprintf(
			"the windows of all clients were open together for %v, %.3g %% of the longest, that of client %d: their rates were not "+
				"there at the same time", together.Round(time.Millisecond), 100*together.Seconds()/most.Seconds(), longest+1)}}, nil
	}
	return nil, nil
}

// mergeHistograms adds up the histograms, which must have the same unit and precision, in one that
// holds the longest latency of each. It is nil where there is none.
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
