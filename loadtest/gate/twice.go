package gate

import (
	"fmt"
	"slices"
	"strings"
)

// fewTwice is how many different results at least have to come again in the same order before they
// are taken for the same. A time that scatters by ten steps of its last digit does so by chance
// once in 10^4.
const fewTwice = 4

// fingerprints say what lines hold, as far as it scatters: results without a time or a rate may be
// the same again and again.
func (r Results) fingerprints() (all []string, different int) {
	seen := set{}
	for _, l := range r.lines {
		var b strings.Builder
		fmt.Fprintf(&b, "%s %d", l.name, l.iterations)
		timed := false
		for _, v := range l.values {
			timed = timed || !mayBeZero(v.tidy)
			fmt.Fprintf(&b, " %v %s", v.value, v.unit)
		}
		all = append(all, b.String())
		if timed && seen.add(b.String()) {
			different++
		}
	}
	return all, different
}

// copies returns how many times a sequence holds the same.
func copies(all []string) int {
	for n := len(all); n > 1; n-- {
		if period := len(all) / n; len(all)%n == 0 && slices.Equal(all[period:], all[:len(all)-period]) {
			return n
		}
	}
	return 1
}

// goesOn reports whether benchmarks among the first n results have more samples after them. Others
// may follow in a file that has more benchmarks.
func (r Results) goesOn(n int) bool {
	first := set{}
	for _, l := range r.lines[:n] {
		first.add(l.name)
	}
	return slices.ContainsFunc(r.lines[n:], func(l line) bool { return first[l.name] })
}

// countedTwice returns what is wrong where samples are in a file twice: a copy is no further
// sample, and proves nothing.
func (j *judge) countedTwice() (wrong []string) {
	x, xs := j.baseline.fingerprints()
	y, ys := j.candidate.fingerprints()
	for _, file := range []struct {
		path      string
		all       []string
		different int
	}{{j.baseline.path, x, xs}, {j.candidate.path, y, ys}} {
		if n := copies(file.all); n > 1 && file.different >= fewTwice {
			wrong = append(wrong, fmt.Sprintf("%s: the same %s %d times, number by number: a copy is no further sample",
				file.path, Plural(len(file.all)/n, "result"), n))
		}
	}
	switch {
	case len(x) < len(y) && xs >= fewTwice && slices.Equal(x, y[:len(x)]) && j.candidate.goesOn(len(x)):
		wrong = append(wrong, fmt.Sprintf("%s begins with the results of the baseline, number by number: it was appended "+
			"to them", j.candidate.path))
	case len(y) < len(x) && ys >= fewTwice && slices.Equal(y, x[:len(y)]) && j.baseline.goesOn(len(y)):
		wrong = append(wrong, fmt.Sprintf("%s begins with the results of the candidate, number by number: it was appended "+
			"to them", j.baseline.path))
	}
	return wrong
}

// sameResults reports whether both files hold the same, whatever else is in them.
func (j *judge) sameResults() bool {
	x, different := j.baseline.fingerprints()
	y, _ := j.candidate.fingerprints()
	return different >= fewTwice && slices.Equal(x, y)
}
