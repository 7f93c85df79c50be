package inject

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Answers are complete answers, counted by what they were. What is counted beside their status is
// what [HTTPConfig.Compare] asks for. The zero value counts none.
type Answers struct {
	// Kinds are those of all answers: status, type and encoding, such as "200 text/html gzip", or
	// the status alone.
	Kinds Census `json:"kinds,omitzero"`
	// Lengths are those of the bodies of successful answers, in bytes, as they came; of answers to
	// a HEAD as their heads say it.
	Lengths Census `json:"lengths,omitzero"`
	// Bodies are hashes of the bodies of successful answers. They mean something only among those
	// of one process.
	Bodies Census `json:"bodies,omitzero"`
}

// Census says how many answers were what.
type Census struct {
	Seen   []Seen `json:"seen"`             // ascending by What
	Others uint64 `json:"others,omitempty"` // that were something else, after all that there is room for
}

// Seen is what so many answers were.
type Seen struct {
	What    string `json:"what"`
	Answers uint64 `json:"answers"`
	Example string `json:"example,omitempty"` // beginning of the body of the first of them, quoted; empty: none was kept
}

// IsZero reports whether nothing was counted.
func (c Census) IsZero() bool { return len(c.Seen) == 0 && c.Others == 0 }

// Total is how many answers there were.
func (c Census) Total() uint64 {
	sum := c.Others
	for _, s := range c.Seen {
		sum += s.Answers
	}
	return sum
}

// Statuses are the answers by their status, such as "200"; nil: none was counted.
func (a Answers) Statuses() map[string]uint64 {
	var all map[string]uint64
	for _, s := range a.Kinds.Seen {
		if all == nil {
			all = make(map[string]uint64)
		}
		all[s.What[:min(len(s.What), statusDigits)]] += s.Answers
	}
	return all
}

const statusDigits = 3

// AnswersByStatus is the reverse of Statuses. The error names what is no status.
func AnswersByStatus(counts map[string]uint64) (a Answers, err error) {
	for _, status := range slices.Sorted(maps.Keys(counts)) {
		if n, err := strconv.Atoi(status); err != nil || len(status) != statusDigits || n < 100 {
			return Answers{}, fmt.Errorf("status %q: want three digits, such as 200", status)
		}
		a.Kinds.Seen = append(a.Kinds.Seen, Seen{What: status, Answers: counts[status]})
	}
	return a, nil
}

// Add adds the answers of another time.
func (a *Answers) Add(b Answers) {
	a.Kinds.add(b.Kinds, mostBodies)
	a.Lengths.add(b.Lengths, mostLengths)
	a.Bodies.add(b.Bodies, mostBodies)
}

func (c *Census) add(d Census, most int) {
	c.Others += d.Others
	for _, s := range d.Seen {
		i, found := slices.BinarySearchFunc(c.Seen, s, bySeen)
		switch {
		case found:
			c.Seen = slices.Clone(c.Seen) // which a copy of c may share
			c.Seen[i].Answers += s.Answers
		case len(c.Seen) < most:
			c.Seen = slices.Insert(slices.Clone(c.Seen), i, s)
		default:
			c.Others += s.Answers
		}
	}
}

func bySeen(a, b Seen) int { return cmp.Compare(a.What, b.What) }

// How many different kinds, lengths and bodies are told apart at most, and of how many of them
// an example is kept. Of statuses there are not more than 900.
const (
	mostSeen    = 64
	mostLengths = 256
	mostBodies  = 1024
	examples    = 4
)

// census counts answers while they come, without allocating anything for one like those before.
type census struct {
	kinds   []kind
	last    int // of kinds, to which the last answer belonged
	lengths counter[int64]
	bodies  counter[uint64]
}

// kind is one kind of answers.
type kind struct {
	status         int
	what           string
	kind, encoding string // as they came last
	n              uint64
	example        []byte
}

// add counts an answer. saw is what is kept of it; nil: nothing.
func (c *census) add(status int, length int64, saw *sight, succeeded bool) {
	k := c.kindOf(status, saw)
	k.n++
	if saw == nil || !saw.comparing {
		return
	}
	if k.example == nil && len(c.kinds) <= examples {
		k.example = append([]byte{}, saw.excerpt...)
	}
	if !succeeded {
		return
	}
	c.lengths.add(length, 1, mostLengths, saw.excerpt)
	if saw.hash != nil {
		c.bodies.add(saw.hash.Sum64(), 1, mostBodies, saw.excerpt)
	}
}

// kindOf finds the kind of an answer, or adds it.
func (c *census) kindOf(status int, saw *sight) *kind {
	var raw [2][]byte
	if saw != nil {
		raw = [2][]byte{saw.kind, saw.encoding}
	}
	same := func(k *kind) bool {
		return k.status == status && string(raw[0]) == k.kind && string(raw[1]) == k.encoding
	}
	if c.last < len(c.kinds) && same(&c.kinds[c.last]) {
		return &c.kinds[c.last]
	}
	for i := range c.kinds {
		if same(&c.kinds[i]) {
			c.last = i
			return &c.kinds[i]
		}
	}
	// Parameters, such as the boundary of parts, may be others each time.
	what := kindOf(strconv.Itoa(status), raw[0], raw[1])
	if len(c.kinds) >= mostSeen && len(what) > statusDigits {
		what = what[:statusDigits] + " …"
	}
	at := slices.IndexFunc(c.kinds, func(k kind) bool { return k.what == what })
	if at < 0 {
		at = len(c.kinds)
		c.kinds = append(c.kinds, kind{status: status, what: what})
	}
	c.last = at
	k := &c.kinds[at]
	k.kind, k.encoding = string(raw[0]), string(raw[1])
	return k
}

// counter counts what answers were, by a key.
type counter[K cmp.Ordered] struct {
	all    []counted[K]
	at     map[K]int // in all
	last   int       // of all, that was counted last
	others uint64
}

type counted[K cmp.Ordered] struct {
	key     K
	n       uint64
	example []byte
}

// add counts n of a key, of which there are most at most.
func (c *counter[K]) add(key K, n uint64, most int, example []byte) {
	if c.last < len(c.all) && c.all[c.last].key == key {
		c.all[c.last].n += n
		return
	}
	at, known := c.at[key]
	switch {
	case known:
	case len(c.all) >= most:
		c.others += n
		return
	default:
		if c.at == nil {
			c.at = make(map[K]int)
		}
		at = len(c.all)
		c.at[key] = at
		c.all = append(c.all, counted[K]{key: key})
		if at < examples && example != nil {
			c.all[at].example = append([]byte{}, example...)
		}
	}
	c.last = at
	c.all[at].n += n
}

func (c *counter[K]) merge(d *counter[K], most int) {
	c.others += d.others
	for _, one := range d.all {
		c.add(one.key, one.n, most, one.example)
	}
}

// merge adds what another driver has counted.
func (c *census) merge(d *census) {
	for _, k := range d.kinds {
		at := slices.IndexFunc(c.kinds, func(o kind) bool { return o.what == k.what })
		if at < 0 {
			c.kinds = append(c.kinds, k)
			continue
		}
		c.kinds[at].n += k.n
	}
	c.lengths.merge(&d.lengths, mostLengths)
	c.bodies.merge(&d.bodies, mostBodies)
}

// answers are what was counted, as others read it.
func (c *census) answers(hide func(string) string) (a Answers) {
	quote := func(example []byte) string {
		switch {
		case example == nil:
			return ""
		case hide == nil:
			return strconv.Quote(string(example))
		}
		return strconv.Quote(hide(string(example)))
	}
	for _, k := range c.kinds {
		what := k.what
		if hide != nil && len(what) > statusDigits {
			what = hide(what)
		}
		a.Kinds.Seen = append(a.Kinds.Seen, Seen{what, k.n, quote(k.example)})
	}
	for _, l := range c.lengths.all {
		a.Lengths.Seen = append(a.Lengths.Seen, Seen{strconv.FormatInt(l.key, 10), l.n, quote(l.example)})
	}
	for _, b := range c.bodies.all {
		a.Bodies.Seen = append(a.Bodies.Seen, Seen{fmt.Sprintf("%016x", b.key), b.n, quote(b.example)})
	}
	a.Lengths.Others, a.Bodies.Others = c.lengths.others, c.bodies.others
	for _, all := range []*Census{&a.Kinds, &a.Lengths, &a.Bodies} {
		slices.SortFunc(all.Seen, bySeen)
	}
	return a
}
