package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/perf/benchfmt"

	"rampart/loadtest/gate"
	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// DuelBench writes one side of a duel in the Go benchmark format: a line for each block, in the
// order in which they ran, with what was measured and not what it is relative to the other side.
// Marks say how the duel was planned, which line of the other side's file belongs to which, and how
// many requests succeeded and failed; see package gate.
func DuelBench(w io.Writer, d result.Duel, side int) error {
	var b strings.Builder
	fmt.Fprintf(
		&b,
		"# rampart %s, %s: the %s of a duel\n# contender: %s\n# target: %s\n",
		d.Version,
		d.Started.UTC().Format(
			time.RFC3339,
		),
		result.SideNames[side],
		oneLine([2]string{d.Baseline, d.Candidate}[side]),
		oneLine(d.Target),
	)
	fmt.Fprintf(&b, "# injector: %s, %s/%s, %d CPUs, %s\n", d.Machine.Host, d.Machine.OS, d.Machine.Arch, d.Machine.CPUs,
		d.Machine.CPU)
	if d.Expect != "" {
		fmt.Fprintf(&b, "# expect: %s\n", strings.ReplaceAll(d.Expect, "\n", "; "))
	}
	fmt.Fprintf(&b, "# slices of %v\n%s\n", d.Slice, gate.PlanMark(d))
	for _, gap := range gate.Gaps(d) {
		fmt.Fprintf(&b, "%s%s\n", gate.GapPrefix, gap)
	}
	for _, note := range d.Notes(side) {
		fmt.Fprintf(&b, "%s%s\n", gate.NotePrefix, note)
	}
	if err := Units(&b); err != nil {
		return err
	}
	bw := benchfmt.NewWriter(&b)
	for _, s := range d.Samples(side) {
		fmt.Fprintln(&b, gate.BlockMark(d, s))
		if s.Doubt != "" {
			fmt.Fprintf(&b, "# doubt at vus=%d: %s\n", d.VUs, s.Doubt)
		}
		if n := s.Failed.Total(); n > 0 {
			fmt.Fprintf(
				&b,
				"# block %d: %d requests failed: %s\n--- FAIL: BenchmarkDuel/vus=%d\n",
				s.Block,
				n,
				failures(s.Failed),
				d.VUs,
			)
		} else if s.Metrics == nil {
			fmt.Fprintf(&b, "# block %d: no line, because requests failed or none was timed on one of the sides\n", s.Block)
		}
		if s.Metrics == nil {
			continue
		}
		res := &benchfmt.Result{Name: benchfmt.Name(d.Name()), Iters: int(s.Requests)}
		for _, m := range s.Metrics {
			res.Values = append(res.Values, benchfmt.Value{Value: m.Value, Unit: m.Unit})
		}
		if err := bw.Write(res); err != nil {
			return err
		}
		for _, a := range s.Asked {
			if a.P50 == 0 {
				continue
			}
			if err := bw.Write(&benchfmt.Result{
				Name: benchfmt.Name(result.RequestBenchmark(d.Name(), a.Name)), Iters: int(a.Requests),
				Values: []benchfmt.Value{{Value: float64(a.P50), Unit: result.RequestP50}},
			}); err != nil {
				return err
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// oneLine keeps a command of several lines from being read as results.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
}

// duelChange says how a unit changed, as a person wants to read it: the estimate and its interval
// in per cent of the baseline.
func duelChange(r gate.Row) string {
	switch {
	case r.Change == nil:
		return r.Unit + " ?"
	case r.ChangeLowest == nil || r.ChangeHighest == nil: // too few blocks for an interval
		return fmt.Sprintf("%s %+.1f %%", r.Unit, 100**r.Change)
	}
	return fmt.Sprintf("%s %+.1f %% (%+.1f to %+.1f)", r.Unit, 100**r.Change, 100**r.ChangeLowest, 100**r.ChangeHighest)
}

// fewFailing is of how many requests a line says that they failed.
const fewFailing = 3

// DuelLine says in one line what is known after the last block.
func DuelLine(d result.Duel, r gate.Report) string {
	var rows []string
	var worst *gate.Row // of single requests
	requests := 0
	for i, row := range r.Rows {
		if row.Request == "" {
			rows = append(rows, duelChange(row))
			continue
		}
		if requests++; row.Change != nil && (worst == nil || *row.Change > *worst.Change) {
			worst = &r.Rows[i]
		}
	}
	if worst != nil {
		rows = append(rows, fmt.Sprintf("most in %s of %d: %s", worst.Request, requests, duelChange(*worst)))
	}
	for i, f := range r.RequestFailures {
		if i == fewFailing {
			rows = append(rows, fmt.Sprintf("and %d more requests", len(r.RequestFailures)-i))
			break
		}
		rows = append(rows, fmt.Sprintf("%s: %d of %d failed, of the baseline %d of %d", f.Request, f.CandidateFailed,
			f.CandidateRequests, f.BaselineFailed, f.BaselineRequests))
	}
	last := d.Blocks[len(d.Blocks)-1]
	for side, s := range last.Sides {
		if n := s.Failures.Total(); n > 0 {
			rows = append(rows, fmt.Sprintf("%s: %d requests failed (%s)", result.SideNames[side], n, failures(s.Failures)))
		}
		if all := statuses(s.Answers.Statuses()); all != "" {
			rows = append(rows, fmt.Sprintf("%s: answers %s", result.SideNames[side], all))
		}
	}
	if warmth := duelWarmth(last); warmth != "" {
		rows = append(rows, warmth)
	}
	return fmt.Sprintf("block %d: %s", last.Number, strings.Join(rows, ", "))
}

// longWarmup is from when on it is said how long the warm-up of a block took: it is longer than
// what most servers need.
const longWarmup = time.Second

// duelWarmth says how long the warm-up of a block took, where it took long, and whether a side is
// cold.
func duelWarmth(b result.Block) string {
	var cold []string
	longest := time.Duration(0)
	for side, s := range b.Sides {
		longest = max(longest, s.Warmth.Load)
		if s.Warmth.Cold != "" {
			cold = append(cold, "the "+result.SideNames[side])
		}
	}
	text := fmt.Sprintf("warm-up of %.1f s a side", longest.Seconds())
	switch {
	case len(cold) > 0:
		return text + ", and still cold: " + strings.Join(cold, ", ")
	case longest > longWarmup:
		return text
	}
	return ""
}

// DuelAnswers returns an answer of each side, where the verdict says that they differ; empty: it
// does not.
func DuelAnswers(d result.Duel, judged gate.Report) string {
	otherLength := slices.ContainsFunc(judged.Rows,
		func(row gate.Row) bool { return row.Unit == result.BodySize && row.Verdict != verdict.Pass })
	if !otherLength && !gate.AnswersDiffer(d) {
		return ""
	}
	return fmt.Sprintf("an answer of the baseline:  %s\nan answer of the candidate: %s\n", d.Answers[0], d.Answers[1])
}

// DuelOutput returns what is to be said of the last block the first time that it happens: the last
// words of a server of which requests failed, and what the duel notes of itself. Empty: nothing.
func DuelOutput(d result.Duel) string {
	last := len(d.Blocks) - 1
	var b strings.Builder
	for side, name := range result.SideNames {
		output := d.Blocks[last].Sides[side].Output
		failedBefore := slices.ContainsFunc(
			d.Blocks[:last],
			func(b result.Block) bool { return b.Sides[side].Failures.Total() > 0 },
		)
		if output != "" && !failedBefore {
			fmt.Fprintf(&b, "requests failed; the last words of the %s:\n%s\n", name, strings.TrimRight(output, "\n"))
		}
		before := d
		before.Blocks = d.Blocks[:last]
		if notes := d.Notes(side); len(notes) > len(before.Notes(side)) {
			fmt.Fprintf(&b, "note: %s\n", strings.Join(notes, "\nnote: "))
		}
	}
	return b.String()
}
