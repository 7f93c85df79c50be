package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"rampart/loadtest/gate"
	"rampart/scripts/proof"
)

// writeTable writes how often each verdict came, as Markdown.
func writeTable(w io.Writer, all []outcome, b beginning) {
	groups := make(map[trial][]outcome)
	for _, o := range all {
		groups[o.trial] = append(groups[o.trial], o)
	}
	var trials []trial
	for t := range groups {
		trials = append(trials, t)
	}
	slices.SortFunc(trials, func(a, b trial) int {
		return cmp.Or(cmp.Compare(order(a.Usual), order(b.Usual)), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Loss, b.Loss),
			cmp.Compare(order(a.Neighbour), order(b.Neighbour)))
	})
	fmt.Fprintf(w, "Throughput that 10 %% more iterations cost, in %d blocks: %s. So %.1f %% more should cost 5 %%; in "+
		"as many blocks: %s.\n\n",
		b.Plan.Blocks, b.Costs, 100*(b.Costs.factor(0.05)-1), b.Five)
	fmt.Fprintln(w, "| comparison | true loss | neighbour | regressed | by | pass | inconclusive | mean estimate | "+
		"interval holds the true loss | median s |")
	fmt.Fprintln(w, "|---|---:|---|---|---|---|---|---:|---|---:|")
	for _, t := range trials {
		writeRow(w, t, groups[t])
	}
	writeSum(w, all)
	writeAgain(w, all)
	if len(all) < b.Comparisons {
		fmt.Fprintf(w, "\n%d of %d comparisons have been made.\n", len(all), b.Comparisons)
	}
}

// writeAgain writes how the files of duels were judged.
func writeAgain(w io.Writer, all []outcome) {
	again, alike, equal := 0, 0, 0
	for _, o := range all {
		again += order(o.Again != "")
		alike += order(o.Again != "" && o.Again == o.Verdict)
		equal += order(o.Same)
	}
	if again > 0 {
		fmt.Fprintf(w, "\nThe files of %s were judged again: the verdict was the same in %d, and every number in %d.\n",
			gate.Plural(again, "duel"), alike, equal)
	}
}

// writeSum writes what all duels of equals have in common, and all whose true loss is known.
func writeSum(w io.Writer, all []outcome) {
	equals, duels, covered := 0, 0, 0
	var alone, beside misses
	var sum float64
	for _, o := range all {
		if o.Usual || o.hasTail() {
			continue
		}
		duels++
		covered += order(o.covers())
		if o.Neighbour {
			beside.add(o)
		} else {
			alone.add(o)
		}
		if o.Kind == same && o.Loss == 0 {
			equals++
			sum += o.Estimate
		}
	}
	if equals > 0 {
		fmt.Fprintf(w, "\nMean estimate of the %d duels of a server with itself: %+.2f %%. ", equals, 100*sum/float64(equals))
		fmt.Fprintf(w, "The interval held the true loss in %s of all duels of which it is known. It lay %s without the "+
			"neighbour, %s beside it.\n", proof.Rate(covered, duels), alone, beside)
	}
}

// misses counts intervals that do not hold the true loss.
type misses struct{ below, above, of int }

func (m *misses) add(o outcome) {
	m.of++
	m.below += order(o.High < o.Loss)
	m.above += order(o.Low > o.Loss)
}

func (m misses) String() string {
	return fmt.Sprintf("below it in %d and above it in %d of %d", m.below, m.above, m.of)
}

// covers reports whether the interval holds the true loss.
func (o outcome) covers() bool { return o.Low <= o.Loss && o.Loss <= o.High }

func order(b bool) int {
	if b {
		return 1
	}
	return 0
}

// by says which units regressed, and in how many comparisons: the most frequent first.
func by(group []outcome) string {
	count := make(map[string]int)
	for _, o := range group {
		for _, unit := range o.Worse {
			count[unit]++
		}
	}
	units := slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b))
	})
	for i, unit := range units {
		units[i] = fmt.Sprintf("%s %d", unit, count[unit])
	}
	return strings.Join(units, ", ")
}

func writeRow(w io.Writer, t trial, group []outcome) {
	n := len(group)
	verdicts := make(map[string]int)
	plain, covered := 0, 0
	var sum float64
	var seconds []float64
	for _, o := range group {
		verdicts[o.Verdict]++
		plain += order(o.Plain == "regressed")
		covered += order(o.covers())
		sum += o.Estimate
		seconds = append(seconds, o.Seconds)
	}
	slices.Sort(seconds)
	name := "duel"
	if t.Kind != same {
		name += ", " + string(t.Kind)
	}
	neighbour := "no"
	if t.Neighbour {
		neighbour = "yes"
	}
	if t.Usual {
		fmt.Fprintf(w, "| usual way, benchstat at 0.05 | %.4g %% | %s | %s | | %d | | %+.2f %% | | %.0f |\n", 100*t.Loss,
			neighbour, proof.Rate(verdicts["regressed"], n),
			verdicts["pass"], 100*sum/float64(n), seconds[n/2])
		fmt.Fprintf(w, "| usual way, limit of 5 %% | %.4g %% | %s | %s | | %d | | | | |\n", 100*t.Loss, neighbour,
			proof.Rate(plain, n), n-plain)
		return
	}
	loss, holds := fmt.Sprintf("%.4g %%", 100*t.Loss), fmt.Sprintf("%d/%d", covered, n)
	if t.hasTail() {
		loss, holds = "", ""
	}
	fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %d | %d | %+.2f %% | %s | %.0f |\n", name, loss, neighbour,
		proof.Rate(verdicts["regressed"], n), by(group), verdicts["pass"], verdicts["inconclusive"],
		100*sum/float64(n), holds,
		seconds[n/2])
}
