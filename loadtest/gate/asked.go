package gate

import (
	"fmt"
	"strconv"
	"strings"

	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// Where a duel asks several requests, each is judged by itself, beside all together: its median
// latency is a row, and its failures are compared. All rows share one alpha, by Holm, so that a
// verdict among more rows needs more blocks. Of the alpha of failures, one half is that of all
// requests together, which finds most, and single requests share the other half.

// requestList is the requests of a plan, as marks have them.
func requestList(requests []result.PlannedRequest) string {
	var all []string
	for _, r := range requests {
		text := result.EscapeRequest(r.Name)
		if r.Why != "" {
			text += ":" + string(r.Why)
		}
		all = append(all, text)
	}
	return strings.Join(all, ",")
}

// parseRequests is the reverse of requestList.
func parseRequests(s string) (requests []result.PlannedRequest, err error) {
	seen := set{}
	for _, one := range list(s) {
		escaped, why, _ := strings.Cut(one, ":")
		name, err := result.UnescapeRequest(escaped)
		if err != nil || name == "" || !seen.add(name) {
			return nil, fmt.Errorf("requests=%s: want different names, such as GET%%20%%2F", clip(s))
		}
		requests = append(requests, result.PlannedRequest{Name: name, Why: result.WhyOmitted(why)})
	}
	return requests, nil
}

func countsOf(asked []result.AskedSample) (counts []verdict.Count) {
	for _, a := range asked {
		counts = append(counts, verdict.Count{Succeeded: a.Succeeded, Failed: a.Failed})
	}
	return counts
}

// countList is how many of each request succeeded and failed, as marks have it.
func countList(counts []verdict.Count) string {
	var all []string
	for _, c := range counts {
		all = append(all, fmt.Sprintf("%d:%d", c.Succeeded, c.Failed))
	}
	return strings.Join(all, ",")
}

// parseCounts is the reverse of countList.
func parseCounts(s string) (counts []verdict.Count, err error) {
	for _, one := range list(s) {
		succeeded, failed, ok := strings.Cut(one, ":")
		var c verdict.Count
		if c.Succeeded, err = strconv.ParseUint(succeeded, 10, 32); err == nil {
			c.Failed, err = strconv.ParseUint(failed, 10, 32)
		}
		if !ok || err != nil {
			return nil, fmt.Errorf("asked=%s: want two numbers of each request, such as 500:0", clip(s))
		}
		counts = append(counts, c)
	}
	return counts, nil
}

// has reports whether a benchmark of this name is one of a duel of servers, in whose file the first
// one is called first.
func (p plan) has(name, first string) bool {
	first, _, _ = result.RequestOf(first)
	all, request, is := result.RequestOf(name)
	if !is {
		return name == first
	}
	return all == first && p.judges(request)
}

// judges reports whether the plan judges the latency of a request.
func (p plan) judges(request string) bool {
	for _, r := range p.Requests {
		if r.Name == request {
			return r.Why == ""
		}
	}
	return false
}

// requestOf is the request that a benchmark is about; empty: all, or none.
func (j *judge) requestOf(benchmark string) string {
	if j.plan == nil || len(j.plan.Requests) == 0 {
		return ""
	}
	_, request, _ := result.RequestOf(benchmark)
	return request
}

// linesOf counts the lines of a request, or of all requests together where it is empty.
func (r Results) linesOf(request string) (n int) {
	for _, l := range r.lines {
		if _, of, _ := result.RequestOf(l.name); of == request {
			n++
		}
	}
	return n
}

// omittedRequests says which requests have no row, and why.
func (j *judge) omittedRequests() {
	if j.plan == nil {
		return
	}
	var few, asked []string
	for _, r := range j.plan.Requests {
		switch r.Why {
		case "":
		case result.Few:
			few = append(few, r.Name)
		case result.NotAsked:
			asked = append(asked, r.Name)
		case result.Several:
			j.report.NotGated = append(j.report.NotGated, NotGated{
				Unit: result.RequestP50, Benchmarks: 1,
				Why: r.Name + " have no row of their own, since those that are drawn most often have one; whether they " +
					"fail is judged, of all of them together",
			})
		default:
			j.report.NotGated = append(j.report.NotGated, NotGated{
				Unit: result.RequestP50, Benchmarks: 1, Why: fmt.Sprintf("the duel does not judge %s: %s", r.Name, r.Why),
			})
		}
	}
	if len(few) > 0 {
		j.report.NotGated = append(j.report.NotGated, NotGated{
			Unit: result.RequestP50, Benchmarks: len(few),
			Why: fmt.Sprintf("of %d of %s the first block had too few for it, %s; -side makes blocks longer", len(few),
				Plural(len(j.plan.Requests), "request"), some(few)),
		})
	}
	if len(asked) > 0 {
		j.report.NotGated = append(j.report.NotGated, NotGated{
			Unit: result.RequestP50, Why: "not in -unit", Benchmarks: len(asked),
		})
	}
}

// countFailuresOfRequests compares how often single requests failed. A request that fails always is
// one of fifty to a server of which others failed before: all together tell nothing then.
func (j *judge) countFailuresOfRequests() {
	if j.plan == nil {
		return
	}
	rule := j.rule
	rule.Alpha = j.rule.Alpha / 2 / float64(max(len(j.plan.Requests), 1))
	other := make(map[block][]verdict.Count)
	for _, b := range j.candidate.blocks {
		other[b.block] = b.asked
	}
	for i, r := range j.plan.Requests {
		var baseline, candidate []verdict.Count
		for _, b := range j.baseline.blocks {
			if y := other[b.block]; i < len(b.asked) && i < len(y) {
				baseline, candidate = append(baseline, b.asked[i]), append(candidate, y[i])
			}
		}
		c := rule.CompareFailures(baseline, candidate)
		if c.Baseline.Failed+c.Candidate.Failed > 0 {
			row := RequestFailureRow{r.Name, failureRow(c)}
			j.report.RequestFailures = append(j.report.RequestFailures, row)
		}
	}
}

// failingRequests are the requests that are shown to fail more often.
func (j *judge) failingRequests() (names []string) {
	for _, f := range j.report.RequestFailures {
		if f.Verdict == verdict.Regressed {
			names = append(names, fmt.Sprintf("%s (%d of %d failed, and %d of %d of the baseline)", f.Request,
				f.CandidateFailed, f.CandidateRequests, f.BaselineFailed, f.BaselineRequests))
		}
	}
	return names
}
