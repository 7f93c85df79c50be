// Package prove measures how often the gate is wrong about a server of a user's: from the verdicts
// on duels of that server with itself, and with itself where a known share of the requests counts
// for nothing, it makes rates with intervals, and says which margins the machine supports. It
// starts nothing and has no clock: perfgate prove does that.
package prove

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"

	"rampart/loadtest/gate"
	"rampart/loadtest/result"
)

// five is the loss that is made most often.
const five = 0.05

// losses are those of each round of trials, a fraction of the throughput. The first one is the
// first in each round.
var losses = []float64{five, five, 0.03, 0.1}

// Trial is one comparison: of a server with itself, or with a slower one.
type Trial struct {
	Number int     // from 0
	Loss   float64 // of throughput, that the candidate is made to have; a fraction
	Slower bool    // the candidate is the slower command of the user, whose loss nobody knows
	Seed   uint64  // of its duel
}

// Plan is from what the trials are drawn.
type Plan struct {
	Seed   uint64
	Slower bool // the user has named a command that is slower
}

// Trial returns a trial. Each pair of them is one of equals and one with a loss, in an order that
// is drawn: so after any number of trials as many are of the one kind as of the other, give or take
// one. The losses of a round of pairs are drawn as well, but that 5 % is the first.
func (p Plan) Trial(number int) Trial {
	others := make([]Trial, 0, len(losses)+1)
	for _, loss := range losses {
		others = append(others, Trial{Loss: loss})
	}
	if p.Slower {
		others = append(others, Trial{Slower: true})
	}
	round, place := number/(2*len(others)), number%(2*len(others))
	random := rand.New(rand.NewPCG(p.Seed, uint64(round)))
	random.Shuffle(len(others)-1, func(i, j int) { others[i+1], others[j+1] = others[j+1], others[i+1] })
	var all []Trial
	for _, t := range others {
		pair := []Trial{{}, t}
		if random.IntN(2) == 1 {
			pair[0], pair[1] = pair[1], pair[0]
		}
		all = append(all, pair...)
	}
	for i := range all {
		all[i].Number = number - place + i
		all[i].Seed = 1 + random.Uint64N(1<<32-1) // 0 is none, and short enough to be typed again
	}
	return all[place]
}

// Beginning is what all outcomes of a proof have in common. It is the first line of its log.
type Beginning struct {
	Rampart   string // the version
	Plan      Plan
	Server    string // and what it is asked, as may be shown
	Slower    string `json:",omitempty"`
	Request   string
	AskedVUs  int `json:",omitempty"` // 0: as many as is usual
	VUs       int // that there were
	Side      time.Duration
	Warmup    time.Duration `json:",omitempty"` // 0: until servers are warm
	Slice     time.Duration `json:",omitempty"`
	Timeout   time.Duration
	Looks     []int
	Alpha     float64
	Units     []string           `json:",omitempty"` // that are judged; none: the usual ones
	Margins   map[string]float64 `json:",omitempty"` // where they are not the usual ones
	AnyAnswer bool               `json:",omitempty"`

	StrictAnswers bool `json:",omitempty"`
	Machine       result.Machine
}

// Continue returns the beginning of a log that is to be continued by what b says. The error says
// what it is that is not the same.
func (b Beginning) Continue(had Beginning) (Beginning, error) {
	asked := had
	asked.Rampart, asked.VUs, asked.Machine = "", 0, result.Machine{}
	if b.Plan.Seed == 0 {
		b.Plan.Seed = had.Plan.Seed
	}
	x, y := reflect.ValueOf(b), reflect.ValueOf(asked)
	for i := range x.NumField() {
		if now, before := x.Field(i).Interface(), y.Field(i).Interface(); !alike(now, before) {
			return had, fmt.Errorf("it was made with another %s (%v, and now %v); want the same flags, or another file",
				x.Type().Field(i).Name, before, now)
		}
	}
	return had, nil
}

// alike compares values. What has no elements is the same as what is not there: JSON does not tell
// them apart.
func alike(x, y any) bool {
	a, b := reflect.ValueOf(x), reflect.ValueOf(y)
	if kind := a.Kind(); (kind == reflect.Map || kind == reflect.Slice) && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(x, y)
}

// Joins says why a duel cannot be one of those that have this beginning. The name of the machine
// may be another one: in a container it is new each time.
func (b Beginning) Joins(d result.Duel) error {
	d.Machine.Host = b.Machine.Host
	switch {
	case b.Machine != d.Machine:
		return fmt.Errorf("it was made on another machine (%s); want another file, since rates are those of a machine",
			b.MachineName())
	case b.Rampart != d.Version:
		return fmt.Errorf("it was made by another version (%s, and now %s); want another file, since rates are those of "+
			"a version", b.Rampart, d.Version)
	case b.VUs != d.VUs:
		return fmt.Errorf("it was made with %d vus, and there are %d now; want another file, or -vus %d", b.VUs, d.VUs, b.VUs)
	}
	return nil
}

// MachineName says what machine the outcomes were made on.
func (b Beginning) MachineName() string {
	return fmt.Sprintf("%s, %s/%s, %s", cmp.Or(b.Machine.CPU, "processor not known"), b.Machine.OS, b.Machine.Arch,
		gate.Plural(b.Machine.CPUs, "processor"))
}

// Begins reports whether one more duel is begun when so many are done: the first two always, of
// which one is of equals and one has a loss. Then what counts is how long the longest possible one
// takes. Whether a duel is begun must not depend on how long it will take, and none may be cut:
// those that take long are those that find it hard to decide, and without them all rates would look
// better than they are.
func Begins(done int, left, longest time.Duration) bool { return done < 2 || longest <= left }

// Longest is how long a duel may take, by those that there were: with all its blocks. 0: nobody
// knows.
func Longest(all []Outcome, looks []int) time.Duration {
	most := 0.0
	for _, o := range all {
		most = max(most, o.Seconds/float64(max(o.Blocks, 1)))
	}
	return time.Duration(most * float64(looks[len(looks)-1]) * float64(time.Second))
}

// Typical is how long a duel takes on average; a second where there is none.
func Typical(all []Outcome) time.Duration {
	if len(all) == 0 {
		return time.Second
	}
	sum := 0.0
	for _, o := range all {
		sum += o.Seconds
	}
	return max(time.Duration(sum/float64(len(all))*float64(time.Second)), time.Millisecond)
}
