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

// maxHead is how long an answer's head may be, its trailers, or the line before a chunk. A server
// that goes beyond it does not speak HTTP, or wants our memory.
const maxHead = 256 << 10

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

// answer takes in an HTTP/1.x answer (RFC 9112) piece by piece as its bytes come, wherever they are
// cut. It keeps the status and throws everything else away, without allocating: a client with
// thousands of connections cannot afford a buffer for each of them, and a body of gigabytes would
// not fit anyway. Only a line whose end has not come yet is kept.
//
// The zero value is ready for the answer to a request other than HEAD.
type answer struct {
	next    part
	toHead  bool // the request was a HEAD, whose answer has no body
	head    framing
	left    int64  // of the body or the chunk
	length  int64  // of the body so far, without the framing of chunks
	size    int    // of the head so far, or of the trailers
	partial []byte // beginning of a line
	ended   bool   // partial is a whole line, unless the next one goes on with it

	saw *sight // what else is kept of the answer; nil: nothing
	jar *jar   // hears of cookies; nil: nobody does
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
	a.next, a.size, a.length, a.ended = statusLine, 0, 0, false
	if a.saw != nil {
		a.saw.begin()
	}
	if cap(a.partial) > 1<<10 { // one long line should not cost its memory for ever
		a.partial = nil
	}
	a.partial = a.partial[:0]
}

// complete reports whether the whole answer has come.
func (a *answer) complete() bool { return a.next == complete }

// status is that of a complete answer.
func (a *answer) status() int { return a.head.status }

// told is how long the body of a complete answer is, as the server says it: the answer to a HEAD
// has none, and says how long it would be.
func (a *answer) told() int64 {
	if a.toHead {
		return max(a.head.length, 0)
	}
	return a.length
}

// closing reports whether the connection ends with a complete answer (RFC 9112, section 9.3). So it
// does where HTTP/1.0 sends chunks, which it does not know (section 6.1).
func (a *answer) closing() bool {
	return a.head.close || a.head.http10 && (!a.head.keepAlive || a.head.chunked) || !a.toHead && a.head.toEnd()
}

// toEnd reports whether nothing but the end of the connection says where the body ends.
func (f *framing) toEnd() bool { return f.hasBody() && !f.chunked && f.length < 0 }

// hasBody reports whether an answer with this status can have a body.
func (f *framing) hasBody() bool { return f.status != 204 && f.status != 304 }

// feed takes in what came next, and returns how much of it belongs to the answer: all, unless the
// answer is complete. The error is a *malformedError.
func (a *answer) feed(b []byte) (int, error) {
	if a.ended && len(b) > 0 {
		if a.ended = false; !isSpace(b[0]) {
			if err := a.line(a.takePartial()); err != nil {
				return 0, err
			}
		}
	}
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
				line = a.takePartial()
			}
			line = cutReturn(line)
			if (at == len(b) || b[at] <= ' ') && a.mayGoOn(line, b[at:]) {
				if err := a.hold(line); err != nil {
					return at, err
				}
				a.ended = at == len(b)
				continue
			}
			if err := a.line(line); err != nil {
				return at, err
			}
		}
	}
}

// mayGoOn reports whether a line goes on in what follows, or may do so where nothing has come yet:
// one that begins with a blank belongs to the field before it (RFC 9112, section 5.2). An empty
// line ends the head, and nothing goes on with it.
func (a *answer) mayGoOn(line, follows []byte) bool {
	return (a.next == headerLine || a.next == trailerLine) && len(line) > 0 && (len(follows) == 0 || isSpace(follows[0]))
}

// takePartial returns what is kept of a line, which stays as it is until something is kept again.
func (a *answer) takePartial() []byte {
	line := a.partial
	a.partial = a.partial[:0]
	return line
}

// cutReturn cuts the carriage return before a line feed.
func cutReturn(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
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

// unasked is the class of what a server says before it is asked. An answer 408 says that it ends a
// connection on which no request came (RFC 9110, section 15.5.9).
func (a *answer) unasked(b []byte) Class {
	a.begin()
	if _, bad := a.feed(b); bad == nil && a.next != statusLine && a.head.status == 408 {
		return Status
	}
	return Malformed
}

// hold keeps the beginning of a line. What cannot become a good line is found at once: its end may
// never come, and the failure would be taken for a slow server or a lost connection.
func (a *answer) hold(b []byte) error {
	if len(a.partial)+len(b) > maxHead {
		return malformed("a head of more than %d bytes", maxHead)
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

// line takes in a line, without its end.
func (a *answer) line(line []byte) error {
	if a.size += len(line) + 1; a.size > maxHead {
		return malformed("a head of more than %d bytes", maxHead)
	}
	if bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, 0) >= 0 {
		return malformed("control characters in the line %.40q", line)
	}
	switch a.next {
	case statusLine:
		a.next = headerLine
		if a.saw != nil {
			a.saw.forgetHead() // of an interim answer
		}
		return a.head.setStatus(line)
	case headerLine:
		if len(line) > 0 {
			if a.saw != nil {
				a.saw.field(line)
			}
			if a.jar != nil {
				a.jar.hear(line)
			}
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
			return nil
		}
		if !isName(line, bytes.IndexByte(line, ':')) {
			return malformed("header line %.40q", line)
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
		// The length would be of no account, but who sends both may be two who do not agree where
		// the answer ends.
		return malformed("both Content-Length and Transfer-Encoding, which is an error (RFC 9112, section 6.3)")
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

// setStatus begins a head with its first line: HTTP/1.1 200 OK, where the reason may be empty and
// even its space be missing.
func (f *framing) setStatus(line []byte) error {
	*f = framing{length: -1}
	if len(line) < len("HTTP/1.1 200") || string(line[:len(version)]) != version || line[8] != ' ' ||
		len(line) > 12 && line[12] != ' ' || line[7] < '0' || line[7] > '9' {
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

// isName reports whether a header line begins with a name, which ends at its colon.
func isName(line []byte, colon int) bool {
	return colon > 0 && !isSpace(line[0]) && !isSpace(line[colon-1])
}

// addField takes in one header line. Only the fields that say where the answer ends matter; the
// others are recognised by their length alone and passed over.
func (f *framing) addField(line []byte) error {
	colon := bytes.IndexByte(line, ':')
	if !isName(line, colon) {
		return malformed("header line %.40q", line)
	}
	name, value := line[:colon], line[colon+1:]
	switch {
	case equalFold(name, "content-length"):
		// A list of equal lengths is that length (RFC 9112, section 6.3), and comes from a header
		// that was sent twice.
		for one, rest, more := value, value, true; more; {
			one, rest, more = bytes.Cut(rest, comma)
			n, err := parseLength(trim(one))
			if err != nil {
				return err
			}
			if f.length >= 0 && f.length != n {
				return malformed("two Content-Lengths, %d and %d", f.length, n)
			}
			f.length = n
		}
	case equalFold(name, "transfer-encoding"):
		for one, rest, more := value, value, true; more; {
			one, rest, more = bytes.Cut(rest, comma)
			if one = trim(one); len(one) == 0 { // which a list may have (RFC 9110, section 5.6.1)
				continue
			}
			if f.chunked || !equalFold(one, "chunked") {
				return malformed("Transfer-Encoding %.40q", value)
			}
			f.chunked = true
		}
		if !f.chunked {
			return malformed("empty Transfer-Encoding")
		}
	case equalFold(name, "connection"):
		for option, rest, more := value, value, true; more; {
			option, rest, more = bytes.Cut(rest, comma)
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

var comma = []byte{','}

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
	if len(digits) == 0 {
		return 0, malformed("chunk size %.40q", line)
	}
	for len(digits) > 1 && digits[0] == '0' { // there may be any number of them (RFC 9112, section 7.1)
		digits = digits[1:]
	}
	if len(digits) > 15 {
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
	a.length += int64(len(body))
	if a.saw != nil {
		a.saw.take(body)
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// trim cuts blanks and tabs, which are the only white space that HTTP knows (bytes.TrimSpace cuts
// more).
func trim(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// equalFold reports whether b is s, which is lower-case ASCII, in any case. bytes.EqualFold folds
// Unicode, by which a Kelvin sign would be a k.
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
