package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// interval is the 95 % interval of Clopper and Pearson for a rate that was found k times in n (The use of confidence or
// fiducial limits illustrated in the case of the binomial, Biometrika 26, 1934).
func interval(k, n int) (low, high float64) {
	const tail = 0.025
	high = 1
	if k > 0 {
		low = distuv.Beta{Alpha: float64(k), Beta: float64(n - k + 1)}.Quantile(tail)
	}
	if k < n {
		high = distuv.Beta{Alpha: float64(k + 1), Beta: float64(n - k)}.Quantile(1 - tail)
	}
	return low, high
}

func rate(k, n int) string {
	low, high := interval(k, n)
	return fmt.Sprintf("%d/%d (%.1f to %.1f %%)", k, n, 100*low, 100*high)
}

// writeTable writes how often each verdict came, as Markdown.
func writeTable(w io.Writer, all []outcome, c costs) {
	groups := make(map[trial][]outcome)
	for _, o := range all {
		groups[o.trial] = append(groups[o.trial], o)
	}
	var trials []trial
	for t := range groups {
		trials = append(trials, t)
	}
	slices.SortFunc(trials, func(a, b trial) int {
		return cmp.Or(cmp.Compare(order(a.Usual), order(b.Usual)), cmp.Compare(a.Loss, b.Loss), cmp.Compare(order(a.Neighbour), order(b.Neighbour)))
	})
	fmt.Fprintf(w, "10 %% more iterations cost %.2f %% of throughput (%.2f to %.2f %%).\n\n", 100*c.loss, 100*c.high, 100*c.low)
	fmt.Fprintln(w, "| comparison | true loss | neighbour | regressed | pass | inconclusive | mean estimate | interval holds the true loss | median s |")
	fmt.Fprintln(w, "|---|---:|---|---|---|---|---:|---|---:|")
	for _, t := range trials {
		writeRow(w, t, groups[t])
	}
}

func order(b bool) int {
	if b {
		return 1
	}
	return 0
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
		covered += order(o.Low <= t.Loss && t.Loss <= o.High)
		sum += o.Estimate
		seconds = append(seconds, o.Seconds)
	}
	slices.Sort(seconds)
	neighbour := "no"
	if t.Neighbour {
		neighbour = "yes"
	}
	if t.Usual {
		fmt.Fprintf(w, "| usual way, benchstat at 0.05 | %.0f %% | %s | %s | %d | | %+.2f %% | | %.0f |\n", 100*t.Loss, neighbour, rate(verdicts["regressed"], n),
			verdicts["pass"], 100*sum/float64(n), seconds[n/2])
		fmt.Fprintf(w, "| usual way, limit of 5 %% | %.0f %% | %s | %s | %d | | | | |\n", 100*t.Loss, neighbour, rate(plain, n), n-plain)
		return
	}
	fmt.Fprintf(w, "| duel | %.0f %% | %s | %s | %d | %d | %+.2f %% | %d/%d | %.0f |\n", 100*t.Loss, neighbour, rate(verdicts["regressed"], n),
		verdicts["pass"], verdicts["inconclusive"], 100*sum/float64(n), covered, n, seconds[n/2])
}
