package inject

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Expect is what an answer must be to count as a success. The zero value wants a status of 2xx.
type Expect struct {
	statuses  statusSet        // empty: 2xx
	bodies    []*regexp.Regexp // all of which the body must match
	listed    string           // the statuses, as they were written
	condition []string         // all, as they were written
}

// statusSet has a bit for each status.
type statusSet [16]uint64

func (s *statusSet) has(status int) bool { return s[status>>6&15]>>(status&63)&1 != 0 }

func (s *statusSet) add(from, to int) {
	for status := from; status <= to; status++ {
		s[status>>6] |= 1 << (status & 63)
	}
}

// ParseExpect reads conditions, one a line, all of which an answer must meet:
//
//	status=2xx,304    one of these statuses, or of these classes of them
//	body~REGEXP       the body matches a regular expression of package regexp
//
// Where no line is about the status, it must be 2xx. A body is held against an expression as it
// comes, decoded by nobody, and not beyond [MatchedSize]. An empty string expects what the zero
// value does. The error says what would be right.
func ParseExpect(s string) (e Expect, err error) {
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := e.Add(line); err != nil {
			return Expect{}, err
		}
	}
	return e, nil
}

// Add adds one condition, as [ParseExpect] reads it.
func (e *Expect) Add(condition string) error {
	if list, is := strings.CutPrefix(condition, "status="); is {
		if e.listed != "" {
			return fmt.Errorf("%q: statuses for a second time; want all in one, such as status=2xx,304", condition)
		}
		for one := range strings.SplitSeq(list, ",") {
			from, to, ok := parseStatus(strings.TrimSpace(one))
			if !ok {
				return fmt.Errorf("%q: %q is no status; want such as status=2xx,304, from 200 to 599", condition, one)
			}
			e.statuses.add(from, to)
		}
		e.listed = strings.ReplaceAll(list, " ", "")
		e.condition = append(e.condition, "status="+e.listed)
		return nil
	}
	text, is := strings.CutPrefix(condition, "body~")
	if !is || text == "" {
		return fmt.Errorf("%q: want status=2xx,304 or body~REGEXP", condition)
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return fmt.Errorf("%q: %w; want body~REGEXP, as Go's package regexp has them", condition, err)
	}
	e.bodies = append(e.bodies, re)
	e.condition = append(e.condition, condition)
	return nil
}

// parseStatus reads a final status, or a class of them.
func parseStatus(s string) (from, to int, ok bool) {
	const first, last = 200, 599
	if digit, is := strings.CutSuffix(s, "xx"); is {
		n, err := strconv.Atoi(digit)
		from, to = 100*n, 100*n+99
		return from, to, err == nil && len(digit) == 1 && first <= from && to <= last
	}
	n, err := strconv.Atoi(s)
	return n, n, err == nil && len(s) == statusDigits && first <= n && n <= last
}

// String is what ParseExpect reads; empty: the zero value.
func (e Expect) String() string { return strings.Join(e.condition, "\n") }

// Equal reports whether two expect the same, in the same words.
func (e Expect) Equal(o Expect) bool { return e.String() == o.String() }

// IsZero reports whether nothing else is expected than a status of 2xx.
func (e Expect) IsZero() bool { return len(e.condition) == 0 }

const usualStatuses = "2xx"

// set are the statuses that are expected, and how they are called.
func (e Expect) set() (statusSet, string) {
	if e.listed != "" {
		return e.statuses, e.listed
	}
	var usual statusSet
	usual.add(200, 299)
	return usual, usualStatuses
}

// errNoBody says that an expectation cannot be met.
var errNoBody = errors.New("an expected body, and a request with HEAD, whose answer has none: want another method, " +
	"or nothing expected of the body")

// classOf is the class of a complete answer.
func (h *HTTP) classOf(status int, saw *sight) Class {
	switch {
	case !h.expected.has(status):
		return Status
	case saw != nil && saw.matching && saw.unmatched(h.config.Expect.bodies) != nil:
		return Body
	}
	return OK
}

// unexpected returns the failure that a complete answer is, with what the server said; nil: it is a
// success.
func (a *asker) unexpected(status int, saw *sight) *Failure {
	h := a.target
	switch h.classOf(status, saw) {
	case OK:
		return nil
	case Status:
		_, wanted := h.config.Expect.set()
		return &Failure{Status, &statusError{status, wanted, a.firstLine(saw)}}
	}
	return &Failure{Body, fmt.Errorf("the server answered %d, and a body that does not match body~%s: %q", status,
		saw.unmatched(h.config.Expect.bodies), a.firstLine(saw))}
}

// refused is the same of an answer to a first request of a VU, of which no more is expected than a
// status that says that it was served: 2xx, or what else is expected of others.
func (a *asker) refused(status int, saw *sight) *Failure {
	if 200 <= status && status < 300 || a.target.expected.has(status) {
		return nil
	}
	return &Failure{Status, &statusError{status, usualStatuses, a.firstLine(saw)}}
}

// firstLine is how the body of an answer begins, as it may be shown.
func (a *asker) firstLine(saw *sight) string {
	line, _, _ := strings.Cut(strings.TrimSpace(a.hide(string(saw.excerpt))), "\n")
	return line
}

// hide replaces in a text what nobody but the server should read, with the cookies of all VUs.
func (h *HTTP) hide(text string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var cookies []string
	for _, j := range h.jars {
		cookies = append(cookies, j.values()...)
	}
	return h.config.hideAll(text, cookies)
}
