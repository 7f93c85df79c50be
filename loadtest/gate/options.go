package gate

import "golang.org/x/perf/benchunit"

// DefaultAlpha is the highest chance of each of the two mistakes where nobody says another.
const DefaultAlpha = 0.05

// Options are how files are judged: what the user says. The zero value leaves all to the files and
// to what is usual. What a user says counts more than what the files of a duel say of themselves,
// but for its looks: these have happened.
type Options struct {
	Margins map[string]float64 // by what fraction a unit may become worse, by [Tidy] name
	// to judge, and no others; nil: those of the plan of the duel, or all that are gated unasked
	Units []string
	// Require are units that have to be shown to be better, in each benchmark that has them; nil:
	// those of the plan of the duel, or none.
	Require []string
	// highest chance of each of the two mistakes, see [verdict.Rule]; 0: that of the plan, or
	// DefaultAlpha
	Alpha   float64
	Pairing Pairing
}

// Pairing says how it is known which samples belong together. The zero value: the files say it.
type Pairing int

// The ways to pair.
const (
	PairingFromFiles Pairing = iota // markers say so, or they are no pairs
	PairingForced                   // first with first, second with second
	PairingOff                      // they are no pairs, whatever the files say
)

// Tidy returns the name under which a unit is compared: ns/op and sec/op are the same, in different
// sizes.
func Tidy(unit string) string {
	_, tidied := benchunit.Tidy(1, unit)
	return tidied
}
