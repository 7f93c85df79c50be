package inject

import (
	"hash/maphash"
	"net/http"
	"regexp"
	"strings"
)

// Compare says what is counted of answers beside their status, so that those of two servers can be
// compared. The zero value: nothing.
type Compare uint8

// What is counted.
const (
	CompareNothing Compare = iota
	CompareKinds           // type, encoding and length
	CompareBodies          // these, and a hash of each body
)

// excerptSize is how much of an answer's body is worth showing.
const excerptSize = 200

// MatchedSize is how many bytes of a body are held against what [Expect] says of bodies: 1 MB, from
// its beginning.
const MatchedSize = 1 << 20

// keptText is how much room for the text of a body a VU keeps from one answer to the next: there
// may be ten thousand of them.
const keptText = 64 << 10

// sight is what is kept of an answer beside its status and length, where somebody asked. Its memory
// is used again for the next answer. It is an [io.Writer] for bodies.
type sight struct {
	comparing bool
	matching  bool // the text of the body is wanted

	kind, encoding []byte        // of the body, as they came
	excerpt        []byte        // the beginning of the body, as much as fits its capacity
	text           []byte        // the body, up to MatchedSize
	hash           *maphash.Hash // of the body; nil: nobody asked
}

// hashSeed is that of all hashes of bodies in this process.
var hashSeed = maphash.MakeSeed()

// newSight returns what keeps as much of answers as c asks for; nil: nothing.
func newSight(c HTTPConfig) *sight {
	if c.Compare == CompareNothing && len(c.Expect.bodies) == 0 {
		return nil
	}
	s := &sight{comparing: c.Compare != CompareNothing, matching: len(c.Expect.bodies) > 0}
	if s.comparing {
		s.excerpt = make([]byte, 0, excerptSize)
	}
	if c.Compare == CompareBodies {
		s.hash = new(maphash.Hash)
		s.hash.SetSeed(hashSeed)
	}
	return s
}

// begin forgets the last answer.
func (s *sight) begin() {
	s.forgetHead()
	s.excerpt = s.excerpt[:0]
	if cap(s.text) > keptText {
		s.text = nil
	}
	s.text = s.text[:0]
	if s.hash != nil {
		s.hash.Reset()
	}
}

// forgetHead forgets the head of an answer, for that of another one.
func (s *sight) forgetHead() { s.kind, s.encoding = s.kind[:0], s.encoding[:0] }

// field takes in a line of the head, which has a name and a colon or is found to be malformed. Of a
// field that comes twice, the first counts.
func (s *sight) field(line []byte) {
	const kind, encoding = "content-type", "content-encoding"
	if !s.comparing || len(line) <= len(kind) {
		return
	}
	switch {
	case line[len(kind)] == ':' && len(s.kind) == 0 && equalFold(line[:len(kind)], kind):
		s.kind = append(s.kind, trim(line[len(kind)+1:])...)
	case len(line) > len(encoding) && line[len(encoding)] == ':' && len(s.encoding) == 0 &&
		equalFold(line[:len(encoding)], encoding):
		s.encoding = append(s.encoding, trim(line[len(encoding)+1:])...)
	}
}

// setHead takes in a whole head.
func (s *sight) setHead(h http.Header) {
	if s.comparing {
		s.kind = append(s.kind[:0], h.Get("Content-Type")...)
		s.encoding = append(s.encoding[:0], h.Get("Content-Encoding")...)
	}
}

// take takes in a part of the body.
func (s *sight) take(body []byte) {
	if room := cap(s.excerpt) - len(s.excerpt); room > 0 {
		s.excerpt = append(s.excerpt, body[:min(room, len(body))]...)
	}
	if s.hash != nil {
		s.hash.Write(body)
	}
	if room := MatchedSize - len(s.text); s.matching && room > 0 {
		s.text = append(s.text, body[:min(room, len(body))]...)
	}
}

// Write takes in a part of the body. There is no error.
func (s *sight) Write(body []byte) (int, error) {
	s.take(body)
	return len(body), nil
}

// unmatched returns the first of some expressions that the body does not match; nil: it matches
// all.
func (s *sight) unmatched(all []*regexp.Regexp) *regexp.Regexp {
	for _, re := range all {
		if !re.Match(s.text) {
			return re
		}
	}
	return nil
}

// kindOf is what of an answer two servers that do the same have in common: the status, the type of
// the body without its parameters, and how the body is encoded.
func kindOf(status string, kind, encoding []byte) string {
	for _, value := range []string{string(kind), string(encoding)} {
		value, _, _ = strings.Cut(value, ";")
		if value = strings.ToLower(strings.Trim(value, " \t\"")); value != "" {
			status += " " + value
		}
	}
	return status
}
