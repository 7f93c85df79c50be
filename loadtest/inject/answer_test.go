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
}{
	{name: "length", bytes: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", status: 200},
	{name: "no reason", bytes: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", status: 200},
	{name: "bare line feeds", bytes: "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", status: 200},
	{name: "names in any case", bytes: "HTTP/1.1 200 OK\r\ncOnTeNt-LeNgTh:2\r\n\r\nhi", status: 200},
	{name: "the same length twice", bytes: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", status: 200},
	{name: "server error", bytes: "HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops", status: 500},
	{name: "close", bytes: "HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 0\r\n\r\n", status: 200, closing: true},
	{name: "until close", bytes: "HTTP/1.1 200 OK\r\n\r\nall there is", status: 200, closing: true},
	{name: "1.0 closes", bytes: "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", status: 200, closing: true},
	{name: "1.0 keeps", bytes: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", status: 200},
	{name: "close beats keep-alive", bytes: "HTTP/1.0 200 OK\r\nConnection: close, keep-alive\r\nContent-Length: 0\r\n\r\n", status: 200, closing: true},
	{name: "no content", bytes: "HTTP/1.1 204 No Content\r\n\r\n", status: 204},
	{name: "not modified", bytes: "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n", status: 304},
	{name: "interim", bytes: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + okEmpty, status: 200},
	{name: "chunks", bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", status: 200},
	{name: "chunks with extension and trailer", bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\nA;a=\"b\"\r\n0123456789\r\n0\r\nX: y\r\n\r\n", status: 200},

	{name: "empty chunked body", bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 200},
	{name: "interim answers of all kinds", bytes: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nContent-Length: 7\r\n\r\n" + okEmpty, status: 200},
	{name: "HEAD with a length", method: http.MethodHead, bytes: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", status: 200},
	{name: "HEAD with chunks", method: http.MethodHead, bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", status: 200},
	{name: "HEAD with neither", method: http.MethodHead, bytes: "HTTP/1.1 200 OK\r\n\r\n", status: 200},
	{name: "HEAD that closes", method: http.MethodHead, bytes: "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", status: 200, closing: true},
	{name: "a header line of almost 64 kB", bytes: "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", maxLine-10) + "\r\nContent-Length: 0\r\n\r\n", status: 200},
	{name: "a head of almost 256 kB", bytes: "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", maxHead/6-10) + "Content-Length: 0\r\n\r\n", status: 200},

	{name: "nothing", bytes: "", err: "unexpected EOF"},
	{name: "half a head", bytes: "HTTP/1.1 200 OK\r\nContent-", err: "unexpected EOF"},
	{name: "half a body", bytes: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", err: "unexpected EOF"},
	{name: "half a chunk", bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", err: "unexpected EOF"},
	{name: "no last chunk", bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n", err: "unexpected EOF"},
	{name: "garbage", bytes: "SSH-2.0-OpenSSH_9.2\r\n", err: "malformed answer: status line"},
	{name: "HTTP/2", bytes: "HTTP/2.0 200 OK\r\n\r\n", err: "malformed answer: status line"},
	{name: "status of two digits", bytes: "HTTP/1.1 20 OK\r\n\r\n", err: "malformed answer: status line"},
	{name: "status of four digits", bytes: "HTTP/1.1 2000 OK\r\n\r\n", err: "malformed answer: status line"},
	{name: "status below 100", bytes: "HTTP/1.1 099 OK\r\n\r\n", err: "malformed answer: status 99"},
	{name: "no colon", bytes: "HTTP/1.1 200 OK\r\nContent-Length 5\r\n\r\n", err: "malformed answer: header line"},
	{name: "space before the colon", bytes: "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n", err: "malformed answer: header line"},
	{name: "folded header", bytes: "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", err: "malformed answer: header line"},
	{name: "negative length", bytes: "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", err: "malformed answer: Content-Length"},
	{name: "length that overflows", bytes: "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", err: "malformed answer: Content-Length"},
	{name: "two lengths", bytes: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", err: "malformed answer: two Content-Lengths"},
	{name: "length and chunks", bytes: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", err: "malformed answer: both"},
	{name: "gzip transfer coding", bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", err: "malformed answer: Transfer-Encoding"},
	{name: "chunk size that is none", bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", err: "malformed answer: chunk size"},
	{name: "chunk longer than its size", bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n", err: "malformed answer: a chunk is longer"},
	{name: "line without end", bytes: "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", maxLine), err: "malformed answer: a line of more"},
	{name: "head without end", bytes: "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", maxHead/6), err: "malformed answer: a head of more"},
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
			t.Run(a.name+"/"+how, func(t *testing.T) {
				s := newStream(a.method)
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

func TestAnswersFollowEachOther(t *testing.T) {
	stream := iotest.OneByteReader(strings.NewReader("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" +
		"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + okEmpty))
	s := newStream(http.MethodGet)
	for _, want := range []int{200, 404, 200} {
		require.NoError(t, s.read(stream))
		require.Equal(t, want, s.answer.status())
	}
	require.ErrorIs(t, s.read(stream), io.ErrUnexpectedEOF)
}

// TestBadBeforeItsLineEnds holds that a line that cannot become a good one is malformed before its end comes, which may be
// never: a server that speaks TLS sends an alert of seven bytes and closes.
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

// TestBodyOfGigabytes feeds bodies that no memory holds: one with its length in the head, and one of chunks.
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

// FuzzAnswer compares with net/http wherever both take the bytes for a whole answer, and whole bytes with cut ones.
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
			if answer.StatusCode >= 200 {
				require.Equal(t, answer.StatusCode, whole.status())
				left, _ := io.Copy(io.Discard, theirs)
				require.EqualValues(t, left, len(b)-used, "bytes after the answer")
				return
			}
		}
	})
}
