package inject

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/bits"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Request is one of several that an [HTTP] target is asked.
type Request struct {
	URL    *url.URL    // path and query; the rest is that of the target
	Method string      // empty: GET
	Header http.Header // takes the place of that of the target where names are the same
	Body   []byte      // empty: none
	Weight int         // how often it is drawn, compared with the others; 0: 1
	Place  string      // where it is written, such as targets.txt:7, for errors; empty: nowhere
	Name   string      // what it is called in results; empty: method and URL

	// Numbered puts numbers in place of {vu} and {seq} in URL, header and body: that of the VU, from
	// 1, and how many numbered requests all VUs have made so far, this one included.
	Numbered bool
}

// question is a request that is ready to be sent.
type question struct {
	request *http.Request // for HTTP/2
	toHead  bool
	path    string // of its URL, by which cookies are chosen
	place   string
	row     uint16 // of [HTTP.rows]

	// bytes are the request in HTTP/1.1. Where it is not the same each time, pieces are what it is
	// made of.
	bytes  []byte
	pieces []piece

	numbered bool
	body     []byte
	vus      int      // marks of it in the body
	seqs     int      // the same
	length   int      // of the body without them
	cookies  []cookie // of its own header
}

// piece is a part of a request in HTTP/1.1, and what follows it.
type piece struct {
	text []byte
	then mark
}

// mark is what changes from one time to the next.
type mark uint8

const (
	markNothing mark = iota
	markVU
	markSeq
	markLength // of the body
	markCookie // the whole line, if there is one
)

// Marks as a user writes them, and as a URL has them.
const (
	vuMark, vuEscaped   = "{vu}", "%7Bvu%7D"
	seqMark, seqEscaped = "{seq}", "%7Bseq%7D"
)

// mostOwn is how long a request may be that each VU has a copy of, since it is another one each
// time.
const mostOwn = 1 << 20

// newQuestion prepares what c describes.
func newQuestion(c HTTPConfig, numbered, closing bool) (*question, error) {
	q := &question{numbered: numbered, body: c.Body, length: len(c.Body)}
	if c.Cookies {
		c.Header, q.cookies = withoutCookies(c.Header)
	}
	var err error
	if q.request, err = newRequest(c); err != nil {
		return nil, err
	}
	if q.bytes, err = wire(q.request, closing); err != nil {
		return nil, err
	}
	q.toHead = q.request.Method == http.MethodHead
	if q.path = q.request.URL.EscapedPath(); q.path == "" {
		q.path = "/"
	}
	if !numbered && !c.Cookies {
		return q, nil
	}
	if len(q.bytes) > mostOwn {
		return nil, fmt.Errorf("request of %d bytes: each VU needs a copy of it, as cookies are kept or it is numbered; "+
			"want %d at most", len(q.bytes), mostOwn)
	}
	q.cut(c.Cookies)
	return q, nil
}

// questionOf prepares one of several requests of c.
func questionOf(c HTTPConfig, r Request, closing bool) (*question, error) {
	at := *c.URL
	at.Path, at.RawPath, at.RawQuery, at.ForceQuery = r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.URL.ForceQuery
	c.URL, c.Method, c.Body = &at, r.Method, r.Body
	if len(r.Header) > 0 {
		all := make(http.Header)
		for _, header := range []http.Header{c.Header, r.Header} {
			for name, values := range header {
				all[http.CanonicalHeaderKey(name)] = values
			}
		}
		c.Header = all
	}
	q, err := newQuestion(c, r.Numbered, closing)
	switch {
	case err != nil && r.Place != "":
		return nil, fmt.Errorf("%s: %w", r.Place, err)
	case err != nil:
		return nil, err
	}
	q.place = r.Place
	return q, nil
}

// cut cuts the bytes at what changes.
func (q *question) cut(cookies bool) {
	headEnd := bytes.Index(q.bytes, []byte("\r\n\r\n")) + 2
	lineEnd := bytes.Index(q.bytes, []byte("\r\n"))
	from := 0 // of the piece
	add := func(at, length int, then mark) {
		q.pieces = append(q.pieces, piece{q.bytes[from:at:at], then})
		from = at + length
	}
	// number cuts at numbers from one place to another.
	number := func(at, to int, marks map[string]mark) (n [2]int) {
		for at < to {
			mark, length := markNothing, 1
			if c := q.bytes[at]; c == '{' || c == '%' {
				for text, m := range marks {
					if bytes.HasPrefix(q.bytes[at:to], []byte(text)) {
						mark, length = m, len(text)
					}
				}
			}
			if mark != markNothing {
				add(at, length, mark)
				n[mark-markVU]++
			}
			at += length
		}
		return n
	}
	plain := map[string]mark{vuMark: markVU, seqMark: markSeq}
	if q.numbered {
		escaped := maps.Clone(plain)
		escaped[vuEscaped], escaped[seqEscaped] = markVU, markSeq
		number(0, lineEnd, escaped)
		at := lineEnd
		q.vus, q.seqs = bytes.Count(q.body, []byte(vuMark)), bytes.Count(q.body, []byte(seqMark))
		const name = "\r\nContent-Length: "
		if i := bytes.Index(q.bytes[:headEnd], []byte(name)); i >= 0 && q.vus+q.seqs > 0 {
			number(at, i, plain)
			at = i + len(name)
			digits := bytes.IndexByte(q.bytes[at:], '\r')
			add(at, digits, markLength)
			at += digits
		}
		number(at, headEnd, plain)
	}
	if cookies {
		add(headEnd, 0, markCookie)
	}
	if q.numbered {
		number(headEnd, len(q.bytes), plain)
	}
	add(len(q.bytes), 0, markNothing)
	q.length -= q.vus*len(vuMark) + q.seqs*len(seqMark)
}

// asker is what a VU asks next, and knows. The zero value of all but target makes the first
// question of a target that keeps no cookies.
type asker struct {
	target *HTTP
	number int // of the VU, from 1; 0: a probe
	random rand.PCG
	jar    *jar // nil: it keeps no cookies
	seq    uint64
	drawn  *question
	buf    []byte
	built  *question // that buf has; nil: of older cookies
	age    int       // of the cookies in buf
}

// begin makes another stream of questions: each VU has its own in each round, drawn from the seed.
// What another target with the same seed does in its round of the same number is the same.
func (a *asker) begin(round uint64) {
	a.random.Seed(a.target.config.Seed, scrambled(uint64(a.number)^scrambled(round)))
}

// scrambled spreads what neighbouring numbers differ by over all bits: the finaliser of SplitMix64
// (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
func scrambled(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// draw chooses the next question.
func (a *asker) draw() *question {
	h := a.target
	q := h.questions[0]
	if len(h.questions) > 1 {
		at, _ := bits.Mul64(a.random.Uint64(), h.weight)
		if h.upTo != nil {
			i, found := slices.BinarySearch(h.upTo, at)
			if found {
				i++
			}
			at = uint64(i)
		}
		q = h.questions[at]
	}
	a.take(q)
	return q
}

// take makes q the question that is asked.
func (a *asker) take(q *question) {
	a.drawn = q
	if q.numbered {
		a.seq = a.target.sequence.Add(1)
		a.built = nil
	}
	if a.jar != nil {
		a.jar.path = q.path
	}
}

// bytes are the question that is drawn, in HTTP/1.1. They hold until the next one is drawn.
func (a *asker) bytes() []byte {
	q := a.drawn
	if q.pieces == nil {
		return q.bytes
	}
	if a.built == q && (a.jar == nil || a.age == a.jar.age) {
		return a.buf
	}
	a.built = q
	if a.jar != nil {
		a.age = a.jar.age
	}
	b := a.buf[:0]
	for i := range q.pieces {
		b = append(b, q.pieces[i].text...)
		switch q.pieces[i].then {
		case markVU:
			b = strconv.AppendInt(b, int64(a.number), 10)
		case markSeq:
			b = strconv.AppendUint(b, a.seq, 10)
		case markLength:
			n := q.length + q.vus*digits(uint64(a.number)) + q.seqs*digits(a.seq)
			b = strconv.AppendInt(b, int64(n), 10)
		case markCookie:
			before := len(b)
			b = append(b, "Cookie: "...)
			begin := len(b)
			if b = a.jar.append(b, q.cookies); len(b) == begin {
				b = b[:before]
			} else {
				b = append(b, "\r\n"...)
			}
		}
	}
	a.buf = b
	return b
}

// digits is how many digits a number has.
func digits(n uint64) int {
	d := 1
	for ; n >= 10; n /= 10 {
		d++
	}
	return d
}

// request is the question that is drawn, for HTTP/2.
func (a *asker) request(ctx context.Context) *http.Request {
	q := a.drawn
	req := q.request.WithContext(ctx)
	body := q.body
	if q.numbered {
		vu, seq := strconv.Itoa(a.number), strconv.FormatUint(a.seq, 10)
		inURL := strings.NewReplacer(vuMark, vu, vuEscaped, vu, seqMark, seq, seqEscaped, seq)
		inText := strings.NewReplacer(vuMark, vu, seqMark, seq)
		at := *req.URL
		at.Path, at.RawPath, at.RawQuery = inURL.Replace(at.Path), inURL.Replace(at.RawPath), inURL.Replace(at.RawQuery)
		req.URL = &at
		req.Header = req.Header.Clone()
		for _, values := range req.Header {
			for i := range values {
				values[i] = inText.Replace(values[i])
			}
		}
		if q.vus+q.seqs > 0 {
			body = []byte(inText.Replace(string(body)))
		}
	}
	if a.jar != nil {
		if line := a.jar.append(nil, q.cookies); len(line) > 0 {
			if !q.numbered {
				req.Header = maps.Clone(req.Header)
			}
			req.Header["Cookie"] = []string{string(line)}
		}
	}
	if len(body) > 0 {
		req.Body, req.GetBody = io.NopCloser(bytes.NewReader(body)), nil
		req.ContentLength = int64(len(body))
	}
	return req
}

// ask prepares what h asks.
func (h *HTTP) ask() error {
	c := h.config
	if h.sequence = c.Sequence; h.sequence == nil {
		h.sequence = new(atomic.Uint64)
	}
	for _, r := range c.First { // each VU prepares them for itself
		if _, err := questionOf(c, r, true); err != nil {
			return err
		}
	}
	var err error
	if len(c.Requests) == 0 {
		h.questions, h.weight = make([]*question, 1), 1
		if h.questions[0], err = newQuestion(c, false, c.NoKeepAlive); err == nil {
			h.sample, err = newQuestion(c, false, true)
		}
		return err
	}
	if h.sample, err = questionOf(c, c.Requests[0], true); err != nil {
		return err
	}
	equal := true
	for _, r := range c.Requests {
		q, err := questionOf(c, r, c.NoKeepAlive)
		if err != nil {
			return err
		}
		if r.Weight < 0 || r.Weight > MostWeight {
			return fmt.Errorf("%s: weight %d: want 1 to %d", r.Place, r.Weight, MostWeight)
		}
		equal = equal && max(r.Weight, 1) == max(c.Requests[0].Weight, 1)
		h.questions = append(h.questions, q)
		h.weight += uint64(max(r.Weight, 1))
		h.upTo = append(h.upTo, h.weight)
	}
	if equal {
		h.weight, h.upTo = uint64(len(h.questions)), nil
	}
	h.setRows()
	return nil
}

// MostWeight is the highest weight of a request: more than anybody means, and too little for sums
// of weights to overflow.
const MostWeight = 1 << 30

// fixed reports whether every request is made of the same bytes.
func (h *HTTP) fixed() bool { return len(h.questions) == 1 && h.questions[0].pieces == nil }

// askerOf is that of a VU, by its number from 1; 0: a probe, which has no other's cookies.
func (h *HTTP) askerOf(number int) *asker {
	a := &asker{target: h, number: number}
	if h.config.Cookies {
		if a.jar = new(jar); number > 0 {
			for len(h.jars) < number {
				h.jars = append(h.jars, new(jar))
			}
			a.jar = h.jars[number-1]
		}
	}
	a.begin(0)
	return a
}

// ready lets each of so many VUs of a run make its first requests, once for all runs, and returns
// what each VU asks; nil: all ask the same bytes. The error says which request failed, and how, or
// wraps the cause of ctx.
func (h *HTTP) ready(ctx context.Context, vus int, timeout time.Duration) ([]*asker, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fixed() && len(h.config.First) == 0 {
		return nil, nil
	}
	askers := make([]*asker, vus)
	for i := range askers {
		askers[i] = h.askerOf(i + 1)
	}
	if begun := min(h.begun, vus); len(h.config.First) > 0 && begun < vus {
		if err := h.askFirst(ctx, askers[begun:], timeout); err != nil {
			return nil, err
		}
		h.begun = vus
	}
	if h.fixed() {
		return nil, nil
	}
	return askers, nil
}
