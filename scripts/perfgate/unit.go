package main

import (
	"fmt"
	"slices"
	"strings"

	"rampart/loadtest/verdict"
)

// The functions of this file know units by their tidy names, in which ns are sec.

// betterByName returns the direction of a unit that no file declares, from its name, and 0 for a name that says nothing.
func betterByName(unit string) verdict.Better {
	switch {
	case strings.HasSuffix(unit, "sec/s"): // of each second, time spent on something: who knows
		return 0
	case strings.HasSuffix(unit, "/s"):
		return verdict.Higher
	case unit == "sec/op", strings.HasSuffix(unit, "-sec/op"), strings.HasSuffix(unit, "-sec"), unit == "B/op", unit == "allocs/op":
		return verdict.Lower
	}
	return 0
}

// guessed reports whether the direction by name is one that somebody should know about: errors/s are no throughput.
func guessed(unit string) bool {
	return strings.HasSuffix(unit, "/s") && unit != "req/s" && unit != "ops/s" && unit != "B/s"
}

// mayBeZero reports whether 0 is a measurement. A time or a rate of 0 is a broken one, and would be an endless
// improvement or loss.
func mayBeZero(unit string) bool {
	return !strings.Contains(unit, "sec") && !strings.HasSuffix(unit, "/s")
}

// sameAs returns the unit of a benchmark that says the same as this one: a rate and ns/op whose product is the same in every
// line, but for rounding to four digits. One of them is enough. req/s is what people call it, and ns/op only its
// reciprocal; but MB/s in a Go benchmark is only ns/op in other words.
func sameAs(unit string, units []string, lines []line) (other string, ok bool) {
	switch {
	case unit == "B/s":
		return "sec/op", proportional("sec/op", unit, lines)
	case unit == "sec/op":
		for _, u := range units {
			if strings.HasSuffix(u, "/s") && u != "B/s" && proportional(unit, u, lines) {
				return u, true
			}
		}
	}
	return "", false
}

func proportional(time, rate string, lines []line) bool {
	var least, most float64
	for i, l := range lines {
		t, ok := l.find(time)
		r, too := l.find(rate)
		product := t.value * t.factor * r.value * r.factor
		if !ok || !too || !(product > 0) {
			return false
		}
		if i == 0 {
			least, most = product, product
		}
		least, most = min(least, product), max(most, product)
	}
	return most <= least*1.002
}

// chooser decides which units are gated.
type chooser struct {
	options
	better map[string]verdict.Better
	shown  map[string]string // as written, by tidy name
}

// check finds flags that ask for what the files do not have, which would otherwise gate nothing without a word.
func (c chooser) check() error {
	if len(c.shown) == 0 { // all blocks failed
		return nil
	}
	wanted := map[string]string{}
	for _, unit := range c.units {
		wanted[tidy(unit)] = "-unit " + unit
	}
	for unit := range c.margins {
		wanted[unit] = "-margin " + c.name(unit)
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
	if m, ok := c.margins[unit]; ok {
		return m, true
	}
	return verdict.UsualMargin(unit)
}

// why returns the reason why a unit of a benchmark is not gated; empty: it is.
func (c chooser) why(unit string, units []string, lines []line) string {
	if c.units != nil {
		gated := func(unit string) bool {
			return slices.ContainsFunc(c.units, func(u string) bool { return tidy(u) == unit })
		}
		if gated(unit) {
			return ""
		}
		if other, ok := sameAs(unit, units, lines); ok && gated(other) {
			return "says the same as " + c.shown[other]
		}
		return c.others
	}
	if _, ok := c.margins[unit]; ok {
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
	if other, ok := sameAs(unit, units, lines); ok {
		return "says the same as " + c.shown[other]
	}
	return ""
}
