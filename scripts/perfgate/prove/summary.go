package prove

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"rampart/loadtest/gate"
	"rampart/loadtest/verdict"
	"rampart/scripts/proof"
)

// Group is what all trials of a kind found.
type Group struct {
	Name      string         `json:"name"`
	Loss      *float64       `json:"loss,omitempty"` // of throughput; nil: nobody knows it
	Duels     int            `json:"duels"`
	Regressed Rate           `json:"regressed"`
	By        map[string]int `json:"regressed_by,omitempty"` // units, in so many duels
	Passed    Rate           `json:"passed"`
	Open      int            `json:"open"` // neither
	OpenBy    map[string]int `json:"open_by,omitempty"`
	Estimate  float64        `json:"mean_estimate"` // of the loss
	Blocks    int            `json:"median_blocks"`
	Seconds   float64        `json:"median_seconds"`
}

// Rate is how many of all, with the interval of Clopper and Pearson (95 %).
type Rate struct {
	Number int     `json:"number"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	of     int
}

func rate(k, n int) Rate {
	low, high := proof.Interval(k, n)
	return Rate{k, low, high, n}
}

func (r Rate) String() string { return proof.Rate(r.Number, r.of) }

// Promise is one of the two that the gate makes: how often a verdict is wrong at most.
type Promise struct {
	Mistake string  `json:"mistake"`
	Alpha   float64 `json:"alpha"`
	Duels   int     `json:"duels"` // in which it could be made
	Rate    Rate    `json:"made"`
	P       float64 `json:"p"` // the probability of as many, or more, where the promise is kept
}

// Summary is what a proof has shown. It is the document of perfgate prove -json, of version 1.
type Summary struct {
	Version  int        `json:"version"`
	Exit     int        `json:"exit"`
	Meaning  string     `json:"meaning"`
	Advice   []string   `json:"advice"`
	Server   string     `json:"server"`
	Request  string     `json:"request"`
	Machine  string     `json:"machine"`
	Seed     uint64     `json:"seed"`
	VUs      int        `json:"vus"`
	Looks    []int      `json:"looks"`
	Groups   []Group    `json:"groups"`
	Promises [2]Promise `json:"promises"`
	Noise    []Noise    `json:"noise"`
}

const (
	// fewest duels of equals, and as many with a loss that must not pass, are needed to say
	// anything: with less, a gate that is wrong in a third of all cases may well show no mistake.
	fewest = 10
	// Each of the two promises may be called broken, where it is kept, with half of this chance.
	falsely = 0.05
)

// Summarize makes the summary of all outcomes.
func Summarize(b Beginning, all []Outcome) Summary {
	s := Summary{
		Version: 1, Server: b.Server, Request: b.Request, Machine: b.MachineName(), Seed: b.Plan.Seed, VUs: b.VUs,
		Looks: b.Looks, Groups: groups(all), Noise: noise(b, all), Advice: []string{},
	}
	alarms, equals, passes, losses := 0, 0, 0, 0
	for _, o := range all {
		switch {
		case o.Slower:
		case o.Loss == 0:
			equals++
			if o.Verdict == verdict.Regressed {
				alarms++
			}
		case b.exceeds(o):
			losses++
			if o.Verdict == verdict.Pass {
				passes++
			}
		}
	}
	s.Promises = [2]Promise{
		promise("equals called slower", b.Alpha, alarms, equals),
		promise("a loss of the margin or more passed", b.Alpha, passes, losses),
	}
	s.conclude(b)
	return s
}

func promise(mistake string, alpha float64, made, duels int) Promise {
	return Promise{mistake, alpha, duels, rate(made, duels), proof.AtLeast(made, duels, alpha)}
}

// MarginOf is the margin of a unit that is in force.
func (b Beginning) MarginOf(unit string) float64 {
	if m, ok := b.Margins[unit]; ok {
		return m
	}
	m, _ := verdict.UsualMargin(unit)
	return m
}

// exceeds reports whether the loss that was made is one that must not pass: it is the margin of a
// judged unit, or more.
func (b Beginning) exceeds(o Outcome) bool {
	worse := map[string]float64{Throughput: o.Loss, ServerCPU: o.Loss / (1 - o.Loss)}
	for unit, by := range worse {
		if slices.Contains(o.Judged, unit) && by >= b.MarginOf(unit) {
			return true
		}
	}
	return false
}

// Right reports whether the verdict is one that should be: equals pass, and a loss that must not
// pass is found. Of a smaller loss, and of one that nobody knows, either verdict is right.
func (b Beginning) Right(o Outcome) bool {
	switch {
	case o.Verdict != verdict.Pass && o.Verdict != verdict.Regressed:
		return false
	case o.Slower:
		return true
	case o.Loss == 0:
		return o.Verdict == verdict.Pass
	}
	return o.Verdict == verdict.Regressed || !b.exceeds(o)
}

// kind is what the trials of a group have in common.
type kind struct {
	slower bool
	loss   float64
}

func groups(all []Outcome) []Group {
	by := make(map[kind][]Outcome)
	for _, o := range all {
		k := kind{o.Slower, o.Loss}
		by[k] = append(by[k], o)
	}
	kinds := slices.SortedFunc(maps.Keys(by), func(x, y kind) int {
		if x.slower != y.slower {
			return cmp.Compare(one(x.slower), one(y.slower))
		}
		return cmp.Compare(x.loss, y.loss)
	})
	groups := []Group{}
	for _, k := range kinds {
		groups = append(groups, group(k, by[k]))
	}
	return groups
}

func group(k kind, all []Outcome) Group {
	g := Group{Name: all[0].Trial.String(), Duels: len(all), By: map[string]int{}, OpenBy: map[string]int{}}
	if !k.slower {
		g.Loss = &k.loss
	}
	var blocks []int
	var seconds []float64
	regressed, passed := 0, 0
	for _, o := range all {
		switch o.Verdict {
		case verdict.Regressed:
			regressed++
			for _, unit := range o.Worse {
				g.By[unit]++
			}
		case verdict.Pass:
			passed++
		default:
			g.Open++
			for _, unit := range o.Open {
				g.OpenBy[unit]++
			}
		}
		g.Estimate += o.Estimate / float64(len(all))
		blocks, seconds = append(blocks, o.Blocks), append(seconds, o.Seconds)
	}
	g.Regressed, g.Passed = rate(regressed, len(all)), rate(passed, len(all))
	slices.Sort(blocks)
	slices.Sort(seconds)
	g.Blocks, g.Seconds = blocks[len(blocks)/2], seconds[len(seconds)/2]
	return g
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// noise is that of each unit that some duel of equals judged, in the order in which it did.
func noise(b Beginning, all []Outcome) []Noise {
	found := []Noise{}
	looks, err := verdict.NewLooks(b.Looks...)
	if err != nil {
		return found // what was planned was checked before
	}
	each := looks.EachAlpha(b.Alpha)
	var units []string
	duels := make(map[string][]Values)
	for _, o := range all {
		if o.Slower || o.Loss != 0 {
			continue
		}
		for _, unit := range o.Judged {
			if !slices.Contains(units, unit) {
				units = append(units, unit)
			}
			duels[unit] = append(duels[unit], o.Values[unit])
		}
	}
	for _, unit := range units {
		if n, ok := noiseOf(unit, duels[unit], b.Looks, each); ok {
			n.Margin = b.MarginOf(unit)
			found = append(found, n)
		}
	}
	return found
}

// conclude says what has been shown, and what to do.
func (s *Summary) conclude(b Beginning) {
	equals := s.group(0)
	var broken []string
	short := 0 // duels that are missing
	for _, p := range s.Promises {
		if p.Duels > 0 && p.P <= falsely/2 {
			broken = append(broken, fmt.Sprintf("%s: %s, where %.4g %% are allowed (p=%.2g)", p.Mistake, p.Rate, 100*p.Alpha,
				p.P))
		}
		short = max(short, fewest-p.Duels)
	}
	if s.Promises[1].Duels == 0 && s.Promises[0].Duels >= fewest {
		short = 0 // no loss that is made is as large as the margins: there is no such promise
	}
	switch {
	case len(broken) > 0:
		s.Exit = gate.ExitRegressed
		s.Meaning = "WORSE THAN PROMISED: " + strings.Join(broken, "; ")
		s.say("Look at the duels in the log, and at what else the machine does. Then please report it.")
	case short > 0:
		s.Exit = gate.ExitInconclusive
		s.Meaning = fmt.Sprintf("TOO FEW DUELS to say how often the gate is wrong: %d of equals and %d with a loss that "+
			"must not pass; it takes %d of each", s.Promises[0].Duels, s.Promises[1].Duels, fewest)
		s.say("The same command with -log goes on where this one ended%s.", s.timeFor(short))
	case equals != nil && 2*equals.Passed.Number < equals.Duels:
		s.Exit = gate.ExitInconclusive
		s.Meaning = fmt.Sprintf("OF LITTLE USE HERE: the gate is not wrong more often than promised, but of %s of equals "+
			"only %d passed", gate.Plural(equals.Duels, "duel"), equals.Passed.Number)
	default:
		s.Exit = gate.ExitPass
		s.Meaning = fmt.Sprintf("AS PROMISED, as far as this shows: %s called slower, of equals", s.Promises[0].Rate)
		if p := s.Promises[1]; p.Duels > 0 {
			s.Meaning += fmt.Sprintf("; %s passed, of those that lose the margin or more", p.Rate)
		}
	}
	if equals != nil {
		s.say("On this machine, equals of this server are judged in %s, %.0f s (median).",
			gate.Plural(equals.Blocks, "block"), equals.Seconds)
	}
	if found := s.group(five); found != nil {
		s.say("A loss of %.4g %% is found in %d of %s, in %s, %.0f s (median).", 100*five, found.Regressed.Number,
			gate.Plural(found.Duels, "duel"), gate.Plural(found.Blocks, "block"), found.Seconds)
	}
	s.adviseMargins(b)
}

// timeFor says how much longer it takes until so many more of either kind are there.
func (s *Summary) timeFor(short int) string {
	sum, n := 0.0, 0
	for _, g := range s.Groups {
		sum += g.Seconds * float64(g.Duels)
		n += g.Duels
	}
	if n == 0 {
		return ""
	}
	minutes := math.Ceil(2 * float64(short) * sum / float64(n) / 60)
	return fmt.Sprintf("; %.0f minutes more would do", minutes+1)
}

func (s *Summary) group(loss float64) *Group {
	for i, g := range s.Groups {
		if g.Loss != nil && *g.Loss == loss {
			return &s.Groups[i]
		}
	}
	return nil
}

func (s *Summary) say(format string, args ...any) {
	s.Advice = append(s.Advice, fmt.Sprintf(format, args...))
}

// adviseMargins says which margins the noise supports, and what helps where it is too much.
func (s *Summary) adviseMargins(b Beginning) {
	last := b.Looks[len(b.Looks)-1]
	var fit []string
	for _, n := range s.Noise {
		if n.Supported > 0 {
			fit = append(fit, fmt.Sprintf("%s %s", n.Unit, percent(n.Supported)))
		}
	}
	if len(fit) > 0 {
		s.say("The smallest margins at which equals pass in 9 of 10 duels of up to %d blocks are about: %s.", last,
			strings.Join(fit, ", "))
	}
	for _, n := range s.Noise {
		if n.Supported > 0 && n.Supported <= n.Margin {
			continue
		}
		helps := []string{"leave it out with -unit"}
		factor := n.Supported / n.Margin
		if n.Supported > 0 && factor*factor <= mostLonger {
			helps = append(helps, fmt.Sprintf("make blocks longer, -side %v", longer(b.Side, factor*factor)))
		}
		if n.Supported > 0 {
			more := strings.ReplaceAll(percent(n.Supported), " ", "")
			helps = append(helps, fmt.Sprintf("allow more, -margin %s=%s", n.Unit, more))
		}
		slices.Reverse(helps)
		s.say("%s is too noisy for its margin of %s: %s.", n.Unit, percent(n.Margin), strings.Join(helps, "; or "))
	}
}

// longer is so many times the length of a block, as people would say it.
func longer(side time.Duration, factor float64) time.Duration {
	const step = 100 * time.Millisecond
	return (time.Duration(factor*float64(side)) + step).Truncate(step)
}

// mostLonger is how many times longer blocks are advised at most. Noise falls with the root of
// their length at best.
const mostLonger = 10

// percent rounds a margin up to two digits.
func percent(x float64) string {
	step := 0.1
	if x >= 0.1 {
		step = 1
	}
	n := 100 * x / step
	whole := float64(int(n + 1e-6))
	if n-whole > 1e-6 {
		whole++
	}
	return fmt.Sprintf("%.4g %%", whole*step)
}
