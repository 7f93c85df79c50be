package gate

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// The functions of this file know units by their tidy names, in which ns are sec.

// betterByName returns the direction of a unit that no file declares, from its name, and 0 for a
// name that says nothing.
func betterByName(unit string) verdict.Better {
	switch {
	case strings.HasSuffix(unit, "sec/s"): // of each second, time spent on something: who knows
		return 0
	case strings.HasSuffix(unit, "/s"):
		return verdict.Higher
	case unit == "sec/op", strings.HasSuffix(unit, "-sec/op"), strings.HasSuffix(unit, "-sec"), unit == "B/op", unit == "allocs/op", unit == "slow/op":
		return verdict.Lower
	}
	return 0
}

// guessed reports whether the direction by name is one that somebody should know about: errors/s
// are no throughput.
func guessed(unit string) bool {
	return strings.HasSuffix(unit, "/s") && unit != "req/s" && unit != "ops/s" && unit != "B/s"
}

// mayBeZero reports whether 0 is a measurement. A time or a rate of 0 is a broken one, and would be
// an endless improvement or loss.
func mayBeZero(unit string) bool {
	return !strings.Contains(unit, "sec") && !strings.HasSuffix(unit, "/s")
}

// sameAs returns the unit of a benchmark that says the same as this one: a rate and ns/op whose
// product is the same in every line, within the last digits that were printed, where one is better
// higher and the other lower. One of them is enough. req/s is what people call it, and ns/op only
// its reciprocal, unless it is printed too coarsely; but MB/s in a Go benchmark is only ns/op in
// other words.
func (c chooser) sameAs(unit string, units []string, lines []line) (other string, ok bool) {
	switch {
	case unit == "sec/op":
		for _, u := range units {
			if strings.HasSuffix(u, "/s") && u != "B/s" && c.better[u]*c.better[unit] < 0 && !coarse(u, lines) &&
				proportional(unit, u, lines) {
				return u, true
			}
		}
	case unit == "B/s", strings.HasSuffix(unit, "/s") && coarse(unit, lines):
		return "sec/op", c.better[unit]*c.better["sec/op"] < 0 && proportional("sec/op", unit, lines)
	}
	return "", false
}

// fine is by what fraction numbers may be rounded that stand for others.
const fine = 0.001

// coarse reports whether a unit is printed with fewer than about four digits in some line.
func coarse(unit string, lines []line) bool {
	return slices.ContainsFunc(lines, func(l line) bool {
		v, ok := l.find(unit)
		return ok && v.step/2 > fine*v.value
	})
}

func proportional(time, rate string, lines []line) bool {
	low, high := 0.0, math.Inf(1)
	for _, l := range lines {
		t, ok := l.find(time)
		r, too := l.find(rate)
		if !ok || !too || !(t.value > 0) || !(r.value >= 0) || r.value+r.step/2 <= 0 || r.value == 0 && r.step >= 1 {
			return false
		}
		scale := t.factor * r.factor
		low = max(low, (t.value-t.step/2)*(r.value-r.step/2)*scale*(1-fine))
		high = min(high, (t.value+t.step/2)*(r.value+r.step/2)*scale*(1+fine))
	}
	return low <= high
}

// chooser decides which units are gated.
type chooser struct {
	Options
	better map[string]verdict.Better
	shown  map[string]string // as written, by tidy name
}

// check finds flags that ask for what the files do not have, which would otherwise gate nothing
// without a word.
func (c chooser) check() error {
	if len(c.shown) == 0 { // all blocks failed
		return nil
	}
	wanted := map[string]string{}
	for _, unit := range c.Units {
		if unit == result.BodySize { // of which neither more nor less is better
			continue
		}
		wanted[Tidy(unit)] = "-unit " + unit
	}
	for unit := range c.Margins {
		wanted[unit] = "-margin " + c.name(unit)
	}
	for _, unit := range c.Require {
		wanted[Tidy(unit)] = "-require-better " + unit
	}
	for _, unit := range sortedKeys(wanted) {
		what := wanted[unit]
		if _, ok := c.shown[unit]; !ok {
			return fmt.Errorf("%s: neither file has this unit: want one of %s", what, strings.Join(sortedValues(c.shown), ", "))
		}
		if c.better[unit] == 0 {
			return fmt.Errorf("%s: nobody knows whether higher or lower is better: put a line \"Unit %s better=lower\" (or higher) into the files",
				what, c.shown[unit])
		}
		if _, ok := c.margin(unit); !ok {
			return fmt.Errorf("%s: there is no default margin: say one with -margin %s=5%%", what, c.shown[unit])
		}
	}
	return nil
}

// name returns a unit as the files write it.
func (c chooser) name(unit string) string {
	if shown, ok := c.shown[unit]; ok {
		return shown
	}
	return unit
}

func (c chooser) margin(unit string) (float64, bool) {
	if m, ok := c.Margins[unit]; ok {
		return m, true
	}
	return verdict.UsualMargin(unit)
}

// why returns the reason why a unit of a benchmark is not gated; empty: it is.
func (c *judge) why(unit string, units []string, lines []line) string {
	if c.requires(unit) {
		return ""
	}
	if c.Units != nil {
		gated := func(unit string) bool {
			return slices.ContainsFunc(c.Units, func(u string) bool { return Tidy(u) == unit })
		}
		if gated(unit) {
			return ""
		}
		if other, ok := c.sameAs(unit, units, lines); ok && gated(other) {
			return "says the same as " + c.shown[other]
		}
		if c.plan != nil && c.asked.Units == nil {
			return c.plan.whyOmitted(unit)
		}
		return "not in -unit"
	}
	if _, ok := c.Margins[unit]; ok {
		return ""
	}
	if c.better[unit] == 0 {
		return fmt.Sprintf("unknown direction: a line \"Unit %s better=lower\" (or higher) in the files would say", c.shown[unit])
	}
	if unit == "client-cpu-sec/op" {
		return "the load generator's own, not the server's"
	}
	if _, ok := verdict.UsualMargin(unit); !ok {
		return fmt.Sprintf("no default margin: -margin %s=5%% would gate it", c.shown[unit])
	}
	if other, ok := c.sameAs(unit, units, lines); ok {
		return "says the same as " + c.shown[other]
	}
	return ""
}
