package result

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"rampart/loadtest/inject"
)

// RequestP50 is the unit of the median latency of one of several requests of a duel. It is another
// one than that of all requests, p50-ns, so that it can have another margin: a request that is one
// of many is timed less often.
const RequestP50 = "request-p50-ns"

// fewestOfRequest is how many timed requests of each side the first block has to have of one
// request so that its latency is worth judging unasked: of as many that spread exponentially, the
// median of a block scatters by 14 %, and 24 blocks of both sides tell 10 %.
const fewestOfRequest = 100

// PlannedRequest is one of several requests of a duel.
type PlannedRequest struct {
	Name string     `json:"name"`
	Why  WhyOmitted `json:"omitted,omitempty"` // why its latency is not judged; empty: it is
}

// Several is why the latency of those requests is not judged that have no row of their own: it says
// more of which of them were drawn than of any.
const Several WhyOmitted = "several"

// chooseRequests plans which requests are judged, by the first block.
func (p *Plan) chooseRequests(asked bool, first Block) {
	p.Requests = nil
	judged := 0
	for _, a := range first.Sides[0].Asked {
		r := PlannedRequest{Name: a.Name}
		fewest := uint64(fewestOfRequest)
		if asked {
			fewest = 1
		}
		other, _ := find(first.Sides[1].Asked, a.Name)
		switch {
		case a.Others > 0:
			r.Why = Several
		case min(a.Requests, other.Requests) < fewest:
			r.Why = Few
		default:
			judged++
		}
		p.Requests = append(p.Requests, r)
	}
	if judged > 0 {
		p.Units = append(p.Units, RequestP50)
	} else if len(p.Requests) > 0 {
		p.Omitted = append(p.Omitted, Omitted{RequestP50, Few})
	}
}

// leaveRequests plans that the latency of no request is judged.
func (p *Plan) leaveRequests(first Block) {
	p.Requests = nil
	for _, a := range first.Sides[0].Asked {
		p.Requests = append(p.Requests, PlannedRequest{a.Name, NotAsked})
	}
	if len(p.Requests) > 0 {
		p.Omitted = append(p.Omitted, Omitted{RequestP50, NotAsked})
	}
}

// Rows is how many rows a verdict has by this plan, at least one.
func (p Plan) Rows() int {
	rows := len(p.Units)
	for _, r := range p.Requests {
		if r.Why == "" {
			rows++
		}
	}
	for _, u := range p.Units {
		if u == RequestP50 { // of which each is one
			rows--
		}
	}
	return max(rows, 1)
}

func find(all []inject.Asked, name string) (inject.Asked, bool) {
	for _, a := range all {
		if a.Name == name {
			return a, true
		}
	}
	return inject.Asked{}, false
}

// AskedSample is what one side of a block was for one of several requests.
type AskedSample struct {
	Name      string
	Succeeded uint64
	Failed    uint64
	Requests  uint64        // that were timed
	P50       time.Duration // of these; 0: it is not judged, or a request of the block failed
}

// askedSamples are those of a side of a block, in the order of the plan.
func (p Plan) askedSamples(s Side, whole bool) (samples []AskedSample) {
	for _, r := range p.Requests {
		a, _ := find(s.Asked, r.Name)
		sample := AskedSample{Name: r.Name, Succeeded: a.Completed, Failed: a.Failures.Total(), Requests: a.Requests}
		if whole && r.Why == "" {
			sample.P50 = a.Quantile(0.5)
		}
		samples = append(samples, sample)
	}
	return samples
}

// requestKey stands in the name of a benchmark before that of a request.
const requestKey = "/request="

var coresAtEnd = regexp.MustCompile(`-\d+$`)

// RequestBenchmark is the name of the benchmark of a request, beside that of all requests. Names of
// benchmarks have no blanks, and no / in a value.
func RequestBenchmark(all, request string) string {
	cores := coresAtEnd.FindString(all)
	return strings.TrimSuffix(all, cores) + requestKey + EscapeRequest(request) + cores
}

// RequestOf takes the name of a benchmark apart again; ok is false where it is none of a request.
func RequestOf(benchmark string) (all, request string, ok bool) {
	all, request, ok = strings.Cut(benchmark, requestKey)
	if !ok {
		return benchmark, "", false
	}
	cores := coresAtEnd.FindString(request)
	request, err := UnescapeRequest(strings.TrimSuffix(request, cores))
	return all + cores, request, err == nil
}

// EscapeRequest escapes a name as URLs do, as far as the marks and names of benchmarks need it.
func EscapeRequest(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("._~{}?=&()", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// UnescapeRequest is the reverse of EscapeRequest.
func UnescapeRequest(escaped string) (string, error) { return url.PathUnescape(escaped) }

// documentAsked is one of several requests in a document. What a duel and a level have in common is
// called alike.
type documentAsked struct {
	Name     string            `json:"name"`
	Others   int               `json:"others,omitempty"` // it is so many requests together
	Requests uint64            `json:"requests"`         // of a duel all that succeeded, of a level those in its window
	Timed    *uint64           `json:"timed_requests,omitempty"`
	Busy     *time.Duration    `json:"timed_busy_ns,omitempty"`
	P50      *time.Duration    `json:"p50_ns,omitempty"`
	Complete *uint64           `json:"completed,omitempty"`
	Latency  *documentLatency  `json:"latency,omitempty"`
	Failed   uint64            `json:"failed"`
	Failures map[string]uint64 `json:"failures,omitempty"`
}

// askedOfLevel are the requests of a level.
func askedOfLevel(all []inject.Asked) (docs []documentAsked, err error) {
	for _, a := range all {
		latency, err := newDocumentLatency(inject.Measurement{
			Requests: a.Requests, LatencySum: a.LatencySum, Latency: a.Latency,
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.Name, err)
		}
		docs = append(docs, documentAsked{
			Name: a.Name, Others: a.Others, Requests: a.Requests, Complete: &a.Completed, Latency: &latency,
			Failed: a.Failures.Total(), Failures: a.Failures.ByName(),
		})
	}
	return docs, nil
}

// askedOfSide are the requests of one side of a block.
func askedOfSide(all []inject.Asked) (docs []documentAsked) {
	for _, a := range all {
		p50 := a.Quantile(0.5)
		docs = append(docs, documentAsked{
			Name: a.Name, Others: a.Others, Requests: a.Completed, Timed: &a.Requests, Busy: &a.LatencySum, P50: &p50,
			Failed: a.Failures.Total(), Failures: a.Failures.ByName(),
		})
	}
	return docs
}

// asked is the reverse of both.
func (d documentAsked) asked() (a inject.Asked, err error) {
	a = inject.Asked{Name: d.Name, Others: d.Others}
	if a.Failures, err = inject.FailuresByName(d.Failures); err != nil {
		return a, fmt.Errorf("%s: %w", d.Name, err)
	}
	if d.Timed != nil && d.Busy != nil && d.P50 != nil {
		a.Completed, a.Requests, a.LatencySum, a.P50 = d.Requests, *d.Timed, *d.Busy, *d.P50
		return a, nil
	}
	if a.Requests = d.Requests; d.Complete != nil {
		a.Completed = *d.Complete
	}
	if d.Latency == nil {
		return a, nil
	}
	a.LatencySum = d.Latency.Mean * time.Duration(d.Requests)
	if d.Latency.Histogram == "" {
		return a, nil
	}
	if a.Latency, err = hdrhistogram.Decode([]byte(d.Latency.Histogram)); err != nil {
		return a, fmt.Errorf("%s: histogram: %w", d.Name, err)
	}
	if n := uint64(a.Latency.TotalCount()); n != d.Requests {
		return a, fmt.Errorf("%s: %d latencies of %d requests in the histogram", d.Name, n, d.Requests)
	}
	return a, nil
}

// askedOf are the requests of a document.
func askedOf(docs []documentAsked) (all []inject.Asked, err error) {
	for _, d := range docs {
		a, err := d.asked()
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}
