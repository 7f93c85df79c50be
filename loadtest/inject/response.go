package inject

import (
	"bytes"
	"errors"
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
	startBuffer = 4 << 10
	maxLine     = 64 << 10
	maxHead     = 256 << 10
)

// response reads HTTP/1.x answers to GET requests (RFC 9112), one after the other, from one connection. It keeps the
// status and throws everything else away, without allocating.
type response struct {
	from    io.Reader
	buf     []byte
	r, w    int  // buf[r:w] is read but not consumed
	head    int  // bytes of the head that is being read
	closing bool // after the last answer the server closes, or the connection cannot be used again

	// excerpt, if not nil, collects the beginning of the body, as much as fits its capacity.
	excerpt *[]byte
}

func newResponse(from io.Reader) *response {
	return &response{from: from, buf: make([]byte, startBuffer)}
}

// reset makes r read from another connection.
func (r *response) reset(from io.Reader) {
	r.from, r.r, r.w = from, 0, 0
}

// buffered is the number of bytes that came after the last answer.
func (r *response) buffered() int { return r.w - r.r }

// read reads one whole answer and returns its status. Interim answers (1xx) before it are skipped. The error is a
// *malformedError, io.ErrUnexpectedEOF for a connection that ended too early, or what the connection returned.
func (r *response) read() (status int, err error) {
	for {
		f, err := r.readHead()
		if err != nil {
			return 0, err
		}
		switch {
		case f.status == 101:
			return 0, malformed("switching protocols was not asked for")
		case f.status < 200:
			continue
		}
		r.closing = f.closing()
		return f.status, r.skipBody(f)
	}
}

// framing is what the head of an answer says about its body (RFC 9112, section 6.3).
type framing struct {
	status  int
	length  int64 // of the body; -1: not given
	chunked bool

	http10, close, keepAlive bool
}

// closing reports whether the connection ends with the answer (RFC 9112, section 9.3).
func (f framing) closing() bool { return f.close || f.http10 && !f.keepAlive }

func (r *response) readHead() (f framing, err error) {
	r.head = 0
	line, err := r.line()
	if err != nil {
		return f, err
	}
	f, err = parseStatusLine(line)
	if err != nil {
		return f, err
	}
	for {
		line, err := r.line()
		if err != nil {
			return f, err
		}
		if len(line) == 0 {
			break
		}
		if err := f.addField(line); err != nil {
			return f, err
		}
	}
	if f.chunked && f.length >= 0 {
		return f, malformed("both Content-Length and Transfer-Encoding")
	}
	return f, nil
}

func parseStatusLine(line []byte) (framing, error) {
	f := framing{length: -1}
	// HTTP/1.1 200 OK, where the reason may be empty and even its space be missing
	const prefix = "HTTP/1."
	if len(line) < len("HTTP/1.1 200") || string(line[:len(prefix)]) != prefix || line[8] != ' ' ||
		len(line) > 12 && line[12] != ' ' {
		return f, malformed("status line %.40q", line)
	}
	switch line[7] {
	case '0':
		f.http10 = true
	case '1':
	default:
		return f, malformed("status line %.40q", line)
	}
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return f, malformed("status line %.40q", line)
		}
		f.status = 10*f.status + int(c-'0')
	}
	if f.status < 100 {
		return f, malformed("status %d", f.status)
	}
	return f, nil
}

// addField takes in one header line. Only the fields that say where the answer ends matter; the others are recognised
// by their length alone and passed over.
func (f *framing) addField(line []byte) error {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || isSpace(line[0]) || isSpace(line[colon-1]) {
		return malformed("header line %.40q", line)
	}
	name, value := line[:colon], trim(line[colon+1:])
	switch {
	case equalFold(name, "content-length"):
		n, err := parseLength(value)
		if err != nil {
			return err
		}
		if f.length >= 0 && f.length != n {
			return malformed("two Content-Lengths, %d and %d", f.length, n)
		}
		f.length = n
	case equalFold(name, "transfer-encoding"):
		if f.chunked || !equalFold(value, "chunked") {
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

func (r *response) skipBody(f framing) error {
	switch {
	case f.status == 204 || f.status == 304:
		return nil
	case f.chunked:
		return r.skipChunks()
	case f.length >= 0:
		return r.skip(f.length)
	default:
		r.closing = true
		return r.skipAll()
	}
}

func (r *response) skipChunks() error {
	for {
		line, err := r.chunkLine()
		if err != nil {
			return err
		}
		size, err := parseChunkSize(line)
		if err != nil {
			return err
		}
		if size == 0 {
			break
		}
		if err := r.skip(size); err != nil {
			return err
		}
		end, err := r.chunkLine()
		if err != nil {
			return err
		}
		if len(end) != 0 {
			return malformed("a chunk is longer than its size")
		}
	}
	r.head = 0
	for { // trailers
		line, err := r.line()
		if err != nil || len(line) == 0 {
			return err
		}
	}
}

// chunkLine reads a line between chunks, of which there may be any number.
func (r *response) chunkLine() ([]byte, error) {
	r.head = 0
	return r.line()
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

// line returns the next line without its end. It is valid until the next call of a method.
func (r *response) line() ([]byte, error) {
	scanned := 0
	for {
		if i := bytes.IndexByte(r.buf[r.r+scanned:r.w], '\n'); i >= 0 {
			line := r.buf[r.r : r.r+scanned+i]
			r.r += len(line) + 1
			if r.head += len(line) + 1; r.head > maxHead {
				return nil, malformed("a head of more than %d bytes", maxHead)
			}
			if n := len(line); n > 0 && line[n-1] == '\r' {
				line = line[:n-1]
			}
			if bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, 0) >= 0 {
				return nil, malformed("control characters in the line %.40q", line)
			}
			return line, nil
		}
		scanned = r.w - r.r
		if scanned >= maxLine {
			return nil, malformed("a line of more than %d bytes", maxLine)
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads more, after making room.
func (r *response) fill() error {
	switch {
	case r.r == r.w:
		r.r, r.w = 0, 0
	case r.w == len(r.buf) && r.r > 0:
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
	case r.w == len(r.buf):
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
	n, err := r.from.Read(r.buf[r.w:])
	r.w += n
	if n > 0 {
		return nil // an error comes again with the next Read
	}
	switch err {
	case nil:
		return io.ErrNoProgress
	case io.EOF:
		return io.ErrUnexpectedEOF
	}
	return err
}

// skip consumes n bytes of body.
func (r *response) skip(n int64) error {
	for {
		have := min(int64(r.buffered()), n)
		r.keep(r.buf[r.r : r.r+int(have)])
		r.r += int(have)
		if n -= have; n == 0 {
			return nil
		}
		if err := r.fill(); err != nil {
			return err
		}
	}
}

// skipAll consumes body until the server closes the connection.
func (r *response) skipAll() error {
	for {
		r.keep(r.buf[r.r:r.w])
		r.r, r.w = 0, 0
		if err := r.fill(); errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func (r *response) keep(body []byte) {
	if r.excerpt == nil {
		return
	}
	room := cap(*r.excerpt) - len(*r.excerpt)
	*r.excerpt = append(*r.excerpt, body[:min(room, len(body))]...)
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
