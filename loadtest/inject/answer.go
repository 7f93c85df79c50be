package inject

import (
	"bytes"
	"fmt"
	"io"
	"math"
)

// malformedError says how an answer breaks the protocol.
type malformedError struct{ reason string }

func (e *malformedError) Error() string { return "malformed answer: " + e.reason }

func malformed(format string, a ...any) error { return &malformedError{fmt.Sprintf(format, a...)} }

// Limits of an answer's head. A server that goes beyond them does not speak HTTP, or wants our memory.
const (
	maxLine = 64 << 10
	maxHead = 256 << 10
)

// part is the part of an answer that comes next.
type part uint8

const (
	statusLine part = iota
	headerLine
	body      // of a known length
	bodyToEnd // until the server closes the connection
	chunkSize
	chunkData
	chunkEnd // the line end behind a chunk
	trailerLine
	complete
)

// answer takes in an HTTP/1.x answer (RFC 9112) piece by piece as its bytes come, wherever they are cut. It keeps the
// status and throws everything else away, without allocating: who drives thousands of connections cannot afford a buffer
// for each, and a body of gigabytes fits none. Only a line whose end has not come yet is kept.
//
// The zero value is ready for the answer to a request other than HEAD.
type answer struct {
	next    part
	toHead  bool // the request was a HEAD, whose answer has no body
	head    framing
	left    int64  // of the body or the chunk
	size    int    // of the head so far, or of the trailers
	partial []byte // beginning of a line

	// excerpt, if not nil, collects the beginning of the body, as much as fits its capacity.
	excerpt *[]byte
}

// framing is what the head of an answer says about its body (RFC 9112, section 6.3).
type framing struct {
	status  int
	length  int64 // of the body; -1: not given
	chunked bool

	http10, close, keepAlive bool
}

// begin makes a ready for the next answer.
func (a *answer) begin() {
	a.next, a.size = statusLine, 0
	if cap(a.partial) > 1<<10 { // one long line should not cost its memory for ever
		a.partial = nil
	}
	a.partial = a.partial[:0]
}

// complete reports whether the whole answer has come.
func (a *answer) complete() bool { return a.next == complete }

// status is that of a complete answer.
func (a *answer) status() int { return a.head.status }

// closing reports whether the connection ends with a complete answer (RFC 9112, section 9.3).
func (a *answer) closing() bool {
	return a.head.close || a.head.http10 && !a.head.keepAlive || !a.toHead && a.head.toEnd()
}

// toEnd reports whether nothing but the end of the connection says where the body ends.
func (f *framing) toEnd() bool { return f.hasBody() && !f.chunked && f.length < 0 }

// hasBody reports whether an answer with this status can have a body.
func (f *framing) hasBody() bool { return f.status != 204 && f.status != 304 }

// feed takes in what came next, and returns how much of it belongs to the answer: all, unless the answer is complete. The
// error is a *malformedError.
func (a *answer) feed(b []byte) (int, error) {
	for at := 0; ; {
		switch a.next {
		case complete:
			return at, nil
		case bodyToEnd:
			a.keep(b[at:])
			return len(b), nil
		case body, chunkData:
			n := min(int64(len(b)-at), a.left)
			a.keep(b[at : at+int(n)])
			at += int(n)
			if a.left -= n; a.left > 0 {
				return at, nil
			}
			if a.next == body {
				a.next = complete
			} else {
				a.next = chunkEnd
			}
		default:
			n := bytes.IndexByte(b[at:], '\n')
			if n < 0 {
				return len(b), a.hold(b[at:])
			}
			line := b[at : at+n]
			at += n + 1
			if len(a.partial) > 0 {
				if err := a.hold(line); err != nil {
					return at, err
				}
				line = a.partial
				a.partial = a.partial[:0] // line stays as it is until something is held again
			}
			if err := a.line(line); err != nil {
				return at, err
			}
		}
	}
}

// end takes in the end of the connection. The error says that it came too early.
func (a *answer) end() error {
	switch a.next {
	case complete:
	case bodyToEnd:
		a.next = complete
	default:
		return io.ErrUnexpectedEOF
	}
	return nil
}

// hold keeps the beginning of a line. What cannot become a good line is found at once: its end may never come, and the
// failure would be taken for a slow server or a lost connection.
func (a *answer) hold(b []byte) error {
	if len(a.partial)+len(b) > maxLine {
		return malformed("a line of more than %d bytes", maxLine)
	}
	a.partial = append(a.partial, b...)
	switch n := len(a.partial); {
	case a.next == statusLine && string(a.partial[:min(n, len(version))]) != version[:min(n, len(version))]:
		return malformed("status line %.40q", a.partial)
	case a.next == chunkEnd && n > 0 && string(a.partial) != "\r":
		return malformed("a chunk is longer than its size")
	}
	return nil
}

// line takes in a line, without its line feed.
func (a *answer) line(line []byte) error {
	if a.size += len(line) + 1; a.size > maxHead {
		return malformed("a head of more than %d bytes", maxHead)
	}
	if len(line) > maxLine {
		return malformed("a line of more than %d bytes", maxLine)
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, 0) >= 0 {
		return malformed("control characters in the line %.40q", line)
	}
	switch a.next {
	case statusLine:
		a.next = headerLine
		return a.head.setStatus(line)
	case headerLine:
		if len(line) > 0 {
			return a.head.addField(line)
		}
		return a.endHead()
	case chunkSize:
		size, err := parseChunkSize(line)
		if err != nil {
			return err
		}
		a.left, a.size, a.next = size, 0, chunkData // there may be any number of chunks
		if size == 0 {
			a.next = trailerLine
		}
	case chunkEnd:
		if len(line) > 0 {
			return malformed("a chunk is longer than its size")
		}
		a.next = chunkSize
	case trailerLine:
		if len(line) == 0 {
			a.next = complete
		}
	}
	return nil
}

// endHead decides from a whole head what comes next. Interim answers (1xx) are skipped.
func (a *answer) endHead() error {
	f := &a.head
	a.size = 0
	switch {
	case f.chunked && f.length >= 0:
		return malformed("both Content-Length and Transfer-Encoding")
	case f.status == 101:
		return malformed("switching protocols was not asked for")
	case f.status < 200:
		a.next = statusLine
	case a.toHead || !f.hasBody() || f.length == 0:
		a.next = complete
	case f.chunked:
		a.next = chunkSize
	case f.length > 0:
		a.next, a.left = body, f.length
	default:
		a.next = bodyToEnd
	}
	return nil
}

// version is how an answer begins, but for the minor version.
const version = "HTTP/1."

// setStatus begins a head with its first line: HTTP/1.1 200 OK, where the reason may be empty and even its space be missing.
func (f *framing) setStatus(line []byte) error {
	*f = framing{length: -1}
	if len(line) < len("HTTP/1.1 200") || string(line[:len(version)]) != version || line[8] != ' ' ||
		len(line) > 12 && line[12] != ' ' || line[7] != '0' && line[7] != '1' {
		return malformed("status line %.40q", line)
	}
	f.http10 = line[7] == '0'
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return malformed("status line %.40q", line)
		}
		f.status = 10*f.status + int(c-'0')
	}
	if f.status < 100 {
		return malformed("status %d", f.status)
	}
	return nil
}

// addField takes in one header line. Only the fields that say where the answer ends matter; the others are recognised
// by their length alone and passed over.
func (f *framing) addField(line []byte) error {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || isSpace(line[0]) || isSpace(line[colon-1]) {
		return malformed("header line %.40q", line)
	}
	name, value := line[:colon], line[colon+1:]
	switch {
	case equalFold(name, "content-length"):
		n, err := parseLength(trim(value))
		if err != nil {
			return err
		}
		if f.length >= 0 && f.length != n {
			return malformed("two Content-Lengths, %d and %d", f.length, n)
		}
		f.length = n
	case equalFold(name, "transfer-encoding"):
		if f.chunked || !equalFold(trim(value), "chunked") {
			return malformed("Transfer-Encoding %.40q", value)
		}
		f.chunked = true
	case equalFold(name, "connection"):
		for option := range bytes.SplitSeq(value, []byte{','}) {
			option = trim(option)
			switch {
			case equalFold(option, "close"):
				f.close = true
			case equalFold(option, "keep-alive"):
				f.keepAlive = true
			}
		}
	}
	return nil
}

func parseLength(value []byte) (int64, error) {
	if len(value) == 0 {
		return 0, malformed("empty Content-Length")
	}
	var n int64
	for _, c := range value {
		if c < '0' || c > '9' || n > (math.MaxInt64-9)/10 {
			return 0, malformed("Content-Length %.40q", value)
		}
		n = 10*n + int64(c-'0')
	}
	return n, nil
}

// parseChunkSize reads the hexadecimal size before a chunk's extensions.
func parseChunkSize(line []byte) (int64, error) {
	digits := line
	if i := bytes.IndexByte(line, ';'); i >= 0 {
		digits = line[:i]
	}
	digits = trim(digits)
	if len(digits) == 0 || len(digits) > 15 {
		return 0, malformed("chunk size %.40q", line)
	}
	var n int64
	for _, c := range digits {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, malformed("chunk size %.40q", line)
		}
		n = n<<4 | int64(c)
	}
	return n, nil
}

func (a *answer) keep(body []byte) {
	if a.excerpt == nil {
		return
	}
	room := cap(*a.excerpt) - len(*a.excerpt)
	*a.excerpt = append(*a.excerpt, body[:min(room, len(body))]...)
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// trim cuts blanks and tabs, which are the only white space that HTTP knows (bytes.TrimSpace cuts more).
func trim(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// equalFold reports whether b is s, which is lower-case ASCII, in any case. bytes.EqualFold folds Unicode, by which a
// Kelvin sign would be a k.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != s[i] {
			return false
		}
	}
	return true
}
