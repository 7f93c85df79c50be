package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"rampart/loadtest/inject"
	"rampart/loadtest/result"
)

// askedShown is of how many requests a text has a line. Pages and documents have all.
const askedShown = 20

// asked is what is said of the single requests of a level, where there are several; empty: there
// are not. Of many it has those that failed most, and then those that took longest.
func asked(l result.Level) string {
	if len(l.Asked) == 0 {
		return ""
	}
	shown := slices.Clone(l.Asked)
	if len(shown) > askedShown {
		slices.SortStableFunc(shown, func(a, b inject.Asked) int {
			return cmp.Or(cmp.Compare(b.Failures.Total(), a.Failures.Total()),
				cmp.Compare(b.Quantile(0.95), a.Quantile(0.95)))
		})
		shown = shown[:askedShown]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "each request at %d vus:\n", l.VUs)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "requests\tfailed\tmean ms\tp50 ms\tp95 ms\tp99 ms\t")
	for _, a := range shown {
		fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\t%s\t  %s\n", a.Requests, a.Failures.Total(), milliseconds(a.Mean()),
			milliseconds(a.Quantile(0.50)), milliseconds(a.Quantile(0.95)), milliseconds(a.Quantile(0.99)), a.Name)
	}
	w.Flush() // of memory
	if left := len(l.Asked) - len(shown); left > 0 {
		fmt.Fprintf(&b, "… and %d more, none of which failed more often or took longer (result.json has all)\n", left)
	}
	return b.String()
}

// failuresOf lists the requests that failed, where there are several; empty: none did, or all are
// one.
func failuresOf(all []inject.Asked) string {
	const few = 3
	failed := slices.DeleteFunc(slices.Clone(all), func(a inject.Asked) bool { return a.Failures.Total() == 0 })
	slices.SortStableFunc(failed, func(a, b inject.Asked) int {
		return cmp.Compare(b.Failures.Total(), a.Failures.Total())
	})
	var parts []string
	for i, a := range failed {
		if i == few {
			parts = append(parts, fmt.Sprintf("and %d more", len(failed)-few))
			break
		}
		parts = append(parts, fmt.Sprintf("%s %d of %d", a.Name, a.Failures.Total(), a.Completed+a.Failures.Total()))
	}
	return strings.Join(parts, ", ")
}

// levelOfAsked is the level whose single requests are shown: that of the capacity, or else the
// last. It is the zero Level where there is none.
func levelOfAsked(r result.Result) result.Level {
	l, ok := r.Capacity()
	if !ok && len(r.Levels) > 0 {
		l = r.Levels[len(r.Levels)-1]
	}
	return l
}

// Asked is the level whose single requests the page shows.
func (p rampPage) Asked() result.Level { return levelOfAsked(p.Result) }
