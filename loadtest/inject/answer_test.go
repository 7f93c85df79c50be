package inject

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

const okEmpty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// answers is shared by the table test and the fuzz target, which starts from them.
var answers = []struct {
	name    string
	method  string // empty: GET
	bytes   string
	status  int
	closing bool
	err     string // "": none
	whole   bool   // err shows where the bytes come at once
}{
	{
		name:   "a folded header",
		bytes:  "HTTP/1.1 200 OK\r\nX-Policy: default-src 'self';\r\n\timg-src *\r\nContent-Length: 2\r\n\r\nok",
		status: 200,
	},
	{name: "a header folded often", bytes: "HTTP/1.1 200 OK\nA:\n \n\t\n x: y\n  z\nContent-Length: 2\n\nok", status: 200},
	{name: "a folded length", bytes: "HTTP/1.1 200 OK\r\nContent-Length:\r\n 2\r\n\r\nok", status: 200},
	{name: "a length with a fold behind it", bytes: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n \t\r\n\r\nok", status: 200},
	{
		name:   "a length in a fold of another",
		bytes:  "HTTP/1.1 200 OK\r\nA: b\r\n Content-Length: 9\r\nContent-Length: 2\r\n\r\nok",
		status: 200,
	},
	{name: "a folded coding", bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", status: 200},
	{
		name:    "a folded connection",
		bytes:   "HTTP/1.1 200 OK\r\nConnection: foo,\r\n close\r\nContent-Length: 0\r\n\r\n",
		status:  200,
		closing: true,
	},
	{
		name:   "a fold that breaks an option",
		bytes:  "HTTP/1.1 200 OK\r\nConnection: foo\r\n close\r\nContent-Length: 0\r\n\r\n",
		status: 200,
	},
	{
		name:   "a folded trailer",
		bytes:  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n z\r\n\r\n",
		status: 200,
	},
	{
		name:   "a chunk size of 16 digits",
		bytes:  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0000000000000002\r\nok\r\n0\r\n\r\n",
		status: 200,
	},
	{
		name:   "a last chunk of 20 zeros",
		bytes:  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000000000\r\n\r\n",
		status: 200,
	},
	{
		name:   "a quoted extension with semicolons",
		bytes:  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 ; a=\"x;y\\\";z\" ;b\r\nok\r\n0;c\r\n\r\n",
		status: 200,
	},
	{
		name:   "a list of codings with nothing in between",
		bytes:  "HTTP/1.1 200 OK\r\nTransfer-Encoding: , chunked ,\r\n\r\n0\r\n\r\n",
		status: 200,
	},
	{name: "a list of equal lengths", bytes: "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", status: 200},
	{
		name:    "blanks around values",
		bytes:   "HTTP/1.1 200 OK\r\nContent-Length: \t 2 \t\r\nConnection:\tCLOSE \r\n\r\nok",
		status:  200,
		closing: true,
	},
	{
		name:   "a length of many digits",
		bytes:  "HTTP/1.1 200 OK\r\nContent-Length: 00000000000000000002\r\n\r\nok",
		status: 200,
	},
	{name: "no reason but its space", bytes: "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", status: 200},
	{name: "a reason that is not ASCII", bytes: "HTTP/1.1 200 \xfcber\r\nContent-Length: 0\r\n\r\n", status: 200},
	{name: "no content with a length", bytes: "HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", status: 204},
	{name: "1.0 until close", bytes: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nall", status: 200, closing: true},
	{
		name:    "1.0 with chunks",
		bytes:   "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		status:  200,
		closing: true,
	},
	{name: "an empty header", bytes: "HTTP/1.1 200 OK\r\nA:\r\nContent-Length: 0\r\n\r\n", status: 200},
	{
		name:   "a chunk of two lines",
		bytes:  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n",
		status: 200,
	},
	{name: "length", bytes: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", status: 200},
	{name: "no reason", bytes: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", status: 200},
	{name: "bare line feeds", bytes: "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", status: 200},
	{name: "names in any case", bytes: "HTTP/1.1 200 OK\r\ncOnTeNt-LeNgTh:2\r\n\r\nhi", status: 200},
	{
		name:   "the same length twice",
		bytes:  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
		status: 200,
	},
	{name: "server error", bytes: "HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops", status: 500},
	{
		name:    "close",
		bytes:   "HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 0\r\n\r\n",
		status:  200,
		closing: true,
	},
	{name: "until close", bytes: "HTTP/1.1 200 OK\r\n\r\nall there is", status: 200, closing: true},
	{name: "1.0 closes", bytes: "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", status: 200, closing: true},
	{name: "1.0 keeps", bytes: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", status: 200},
	{
		name:    "close beats keep-alive",
		bytes:   "HTTP/1.0 200 OK\r\nConnection: close, keep-alive\r\nContent-Length: 0\r\n\r\n",
		status:  200,
		closing: true,
	},
	{name: "no content", bytes: "HTTP/1.1 204 No Content\r\n\r\n", status: 204},
	{name: "not modified", bytes: "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n", status: 304},
	{name: "interim", bytes: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + okEmpty, status: 200},
	{name: "chunks", bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", status: 200},
	{
		name:   "chunks with extension and trailer",
		bytes:  "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\nA;a=\"b\"\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
		status: 200,
	},

	{name: "empty chunked body", bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 200},
	{
		name:   "interim answers of all kinds",
		bytes:  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nContent-Length: 7\r\n\r\n" + okEmpty,
		status: 200,
	},
	{
		name:   "HEAD with a length",
		method: http.MethodHead,
		bytes:  "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
		status: 200,
	},
	{
		name:   "HEAD with chunks",
		method: http.MethodHead,
		bytes:  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		status: 200,
	},
	{name: "HEAD with neither", method: http.MethodHead, bytes: "HTTP/1.1 200 OK\r\n\r\n", status: 200},
	{
		name:    "HEAD that closes",
		method:  http.MethodHead,
		bytes:   "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
		status:  200,
		closing: true,
	},
	{
		name:   "a header line of 64 kB",
		bytes:  "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 64<<10) + "\r\nContent-Length: 0\r\n\r\n",
		status: 200,
	},
	{
		name:   "a head of almost 256 kB",
		bytes:  "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", maxHead/6-10) + "Content-Length: 0\r\n\r\n",
		status: 200,
	},

	{name: "nothing", bytes: "", err: "unexpected EOF"},
	{name: "half a head", bytes: "HTTP/1.1 200 OK\r\nContent-", err: "unexpected EOF"},
	{name: "half a body", bytes: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", err: "unexpected EOF"},
	{name: "half a chunk", bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", err: "unexpected EOF"},
	{
		name:  "no last chunk",
		bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n",
		err:   "unexpected EOF",
	},
	{name: "garbage", bytes: "SSH-2.0-OpenSSH_9.2\r\n", err: "malformed answer: status line"},
	{name: "HTTP/2", bytes: "HTTP/2.0 200 OK\r\n\r\n", err: "malformed answer: status line"},
	{name: "status of two digits", bytes: "HTTP/1.1 20 OK\r\n\r\n", err: "malformed answer: status line"},
	{name: "status of four digits", bytes: "HTTP/1.1 2000 OK\r\n\r\n", err: "malformed answer: status line"},
	{name: "status below 100", bytes: "HTTP/1.1 099 OK\r\n\r\n", err: "malformed answer: status 99"},
	{name: "no colon", bytes: "HTTP/1.1 200 OK\r\nContent-Length 5\r\n\r\n", err: "malformed answer: header line"},
	{
		name:  "space before the colon",
		bytes: "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
		err:   "malformed answer: header line",
	},
	{
		name:  "a blank before the first header",
		bytes: "HTTP/1.1 200 OK\r\n A: b\r\n c\r\n\r\n",
		err:   "malformed answer: header line",
	},
	{
		name:  "a blank line before the first header",
		bytes: "HTTP/1.1 200 OK\r\n \r\nA: b\r\n\r\n",
		err:   "malformed answer: header line",
	},
	{
		name:  "a folded length that is two",
		bytes: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 2\r\n\r\n",
		err:   "malformed answer: Content-Length",
	},
	{
		name:  "a fold that brings another coding",
		bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked,\r\n gzip\r\n\r\n",
		err:   "malformed answer: Transfer-Encoding",
	},
	{
		name:  "a return in a header",
		bytes: "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
		err:   "malformed answer: control characters",
	},
	{
		name:  "a return in a folded header",
		bytes: "HTTP/1.1 200 OK\r\nA: b\r\r\n c\r\n\r\n",
		err:   "malformed answer: control characters",
	},
	{
		name:  "a list of lengths that differ",
		bytes: "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello",
		err:   "malformed answer: two Content-Lengths",
	},
	{
		name:  "an empty list of codings",
		bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: ,\r\n\r\n",
		err:   "malformed answer: empty Transfer-Encoding",
	},
	{
		name:  "a trailer without colon",
		bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX\r\n\r\n",
		err:   "malformed answer: header line",
	},
	{
		name:  "a chunk size that overflows",
		bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8000000000000000\r\n",
		err:   "malformed answer: chunk size",
	},
	{name: "half a fold", bytes: "HTTP/1.1 200 OK\r\nA: b\r\n ", err: "unexpected EOF"},
	{name: "a line that may be folded", bytes: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", err: "unexpected EOF"},
	{
		name:  "an empty line behind the answer",
		bytes: okEmpty + "\r\n",
		err:   "malformed answer: an empty line behind",
		whole: true,
	},
	{name: "two answers", bytes: okEmpty + okEmpty, err: "malformed answer: more than one", whole: true},
	{
		name:  "negative length",
		bytes: "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
		err:   "malformed answer: Content-Length",
	},
	{
		name:  "length that overflows",
		bytes: "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
		err:   "malformed answer: Content-Length",
	},
	{
		name:  "two lengths",
		bytes: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		err:   "malformed answer: two Content-Lengths",
	},
	{
		name:  "length and chunks",
		bytes: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		err:   "malformed answer: both",
	},
	{
		name:  "gzip transfer coding",
		bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		err:   "malformed answer: Transfer-Encoding",
	},
	{
		name:  "chunk size that is none",
		bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		err:   "malformed answer: chunk size",
	},
	{
		name:  "chunk longer than its size",
		bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
		err:   "malformed answer: a chunk is longer",
	},
	{
		name:  "line without end",
		bytes: "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", maxHead),
		err:   "malformed answer: a head of more",
	},
	{
		name:  "head without end",
		bytes: "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", maxHead/5),
		err:   "malformed answer: a head of more",
	},
	{name: "upgrade", bytes: "HTTP/1.1 101 Switching Protocols\r\n\r\n", err: "malformed answer: switching"},
}

func TestAnswer(t *testing.T) {
	readers := map[string]func(io.Reader) io.Reader{
		"at once":       func(r io.Reader) io.Reader { return r },
		"byte by byte":  iotest.OneByteReader,
		"by halves":     iotest.HalfReader,
		"data with EOF": iotest.DataErrReader,
	}
	for _, a := range answers {
		for how, reader := range readers {
			if a.whole && how != "at once" {
				continue
			}
			t.Run(a.name+"/"+how, func(t *testing.T) {
				s := newStream(a.method, nil)
				err := s.read(reader(strings.NewReader(a.bytes)))
				if a.err != "" {
					require.ErrorContains(t, err, a.err)
					return
				}
				require.NoError(t, err)
				require.Equal(t, a.status, s.answer.status())
				require.Equal(t, a.closing, s.answer.closing())
			})
		}
	}
}

// TestAnswerCutAnywhere cuts each answer once, at every place, and compares with the whole one.
func TestAnswerCutAnywhere(t *testing.T) {
	for _, a := range answers {
		if len(a.bytes) > 1<<10 {
			continue
		}
		read := func(pieces ...string) (int, bool, string) {
			s := answer{toHead: a.method == http.MethodHead}
			used := 0
			for _, p := range pieces {
				n, err := s.feed([]byte(p))
				if used += n; err != nil {
					return 0, false, "malformed" // it may show before its line ends, and then in other words
				}
			}
			if err := s.end(); err != nil {
				return used, false, err.Error()
			}
			return used, s.closing(), fmt.Sprint(s.status())
		}
		used, closing, what := read(a.bytes)
		for cut := range len(a.bytes) + 1 {
			u, c, w := read(a.bytes[:cut], a.bytes[cut:])
			require.Equal(t, []any{used, closing, what}, []any{u, c, w}, "%s: %q, %q", a.name, a.bytes[:cut], a.bytes[cut:])
		}
	}
}

func TestAnswersFollowEachOther(t *testing.T) {
	stream := iotest.OneByteReader(strings.NewReader("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" +
		"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + okEmpty))
	s := newStream(http.MethodGet, nil)
	for _, want := range []struct {
		status int
		length int64
	}{{200, 5}, {404, 3}, {200, 0}} {
		require.NoError(t, s.read(stream))
		require.Equal(t, want.status, s.answer.status())
		require.Equal(t, want.length, s.answer.length)
	}
	require.ErrorIs(t, s.read(stream), io.ErrUnexpectedEOF)
}

// TestBadBeforeItsLineEnds holds that a line that cannot become a good one is malformed before its
// end comes, which may be never: a server that speaks TLS sends an alert of seven bytes and closes.
func TestBadBeforeItsLineEnds(t *testing.T) {
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for in, want := range map[string]string{
		"\x15\x03\x03\x00\x02\x02\x46": "status line",
		"HTTX":                         "status line",
		chunked + "2\r\nhello":         "a chunk is longer",
		chunked + "2\r\nhe\rl":         "a chunk is longer",
	} {
		var a answer
		_, err := a.feed([]byte(in))
		require.ErrorContains(t, err, want, "%q", in)
	}
	for _, in := range []string{"H", "HTTP/1.", chunked + "2\r\nhe\r"} {
		var a answer
		_, err := a.feed([]byte(in))
		require.NoError(t, err, "%q", in)
	}
}

// TestBodyOfGigabytes feeds bodies that no memory holds: one with its length in the head, and one
// of chunks.
func TestBodyOfGigabytes(t *testing.T) {
	const size = 8 << 30
	chunk := fmt.Sprintf("%x\r\n", size)
	for name, head := range map[string]string{
		"length": fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size),
		"chunk":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk,
	} {
		t.Run(name, func(t *testing.T) {
			var a answer
			_, err := a.feed([]byte(head))
			require.NoError(t, err)
			piece := make([]byte, 1<<20)
			require.Zero(t, testing.AllocsPerRun(1, func() { // which runs it twice
				for fed := 0; fed < size/2; fed += len(piece) {
					if n, err := a.feed(piece); n != len(piece) || err != nil {
						panic(err)
					}
				}
			}))
			if name == "chunk" {
				require.False(t, a.complete())
				_, err = a.feed([]byte("\r\n0\r\n\r\n"))
				require.NoError(t, err)
			}
			require.True(t, a.complete())
		})
	}
}

func TestAnswerAllocatesNothing(t *testing.T) {
	bytes := []byte("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\nDate: now\r\n\r\nhello")
	var a answer
	require.Zero(t, testing.AllocsPerRun(100, func() {
		for cut := range len(bytes) {
			a.begin()
			_, err1 := a.feed(bytes[:cut])
			_, err2 := a.feed(bytes[cut:])
			if err1 != nil || err2 != nil || !a.complete() {
				panic("incomplete")
			}
		}
	}))
}

// FuzzAnswer compares with net/http wherever both take the bytes for a whole answer, and whole
// bytes with cut ones.
func FuzzAnswer(f *testing.F) {
	for _, a := range answers {
		if len(a.bytes) < 1<<10 { // mutating the large ones is slow and finds nothing else
			f.Add([]byte(a.bytes), a.method == http.MethodHead, uint(3))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, head bool, cut uint) {
		whole := answer{toHead: head}
		used, err := whole.feed(b)
		require.LessOrEqual(t, used, len(b))

		// The same bytes in pieces come to the same.
		pieces, sum := answer{toHead: head}, 0
		var cutErr error
		for rest := range slices.Chunk(b, int(cut%16)+1) {
			n, err := pieces.feed(rest)
			sum += n
			if err != nil || n < len(rest) {
				cutErr = err
				break
			}
		}
		require.Equal(t, err == nil, cutErr == nil, "%v, %v", err, cutErr)
		var bad *malformedError
		if err != nil {
			require.ErrorAs(t, err, &bad)
			return
		}
		require.Equal(t, whole.complete(), pieces.complete())
		require.Equal(t, used, sum)
		if whole.end() != nil {
			require.Error(t, pieces.end())
			return
		}

		theirs := bufio.NewReader(bytes.NewReader(b))
		method := http.MethodGet
		if head {
			method = http.MethodHead
		}
		req, _ := http.NewRequest(method, "http://x/", nil)
		for {
			answer, err := http.ReadResponse(theirs, req)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, answer.Body); err != nil {
				return
			}
			if whole.head.http10 && whole.head.chunked {
				return // whose chunks net/http leaves in the body
			}
			if answer.StatusCode >= 200 {
				require.Equal(t, answer.StatusCode, whole.status())
				left, _ := io.Copy(io.Discard, theirs)
				require.EqualValues(t, left, len(b)-used, "bytes after the answer")
				return
			}
		}
	})
}
