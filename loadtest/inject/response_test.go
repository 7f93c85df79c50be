package inject

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

const okEmpty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// answers is shared by the table test and the fuzz target, which starts from them.
var answers = []struct {
	name    string
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

func TestResponse(t *testing.T) {
	readers := map[string]func(io.Reader) io.Reader{
		"at once":       func(r io.Reader) io.Reader { return r },
		"byte by byte":  iotest.OneByteReader,
		"by halves":     iotest.HalfReader,
		"data with EOF": iotest.DataErrReader,
	}
	for _, a := range answers {
		for how, reader := range readers {
			t.Run(a.name+"/"+how, func(t *testing.T) {
				r := newResponse(reader(strings.NewReader(a.bytes)))
				status, err := r.read()
				if a.err != "" {
					require.ErrorContains(t, err, a.err)
					return
				}
				require.NoError(t, err)
				require.Equal(t, a.status, status)
				require.Equal(t, a.closing, r.closing)
				require.Zero(t, r.buffered())
			})
		}
	}
}

func TestResponsesFollowEachOther(t *testing.T) {
	stream := "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" +
		"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + okEmpty
	r := newResponse(iotest.OneByteReader(strings.NewReader(stream)))
	for _, want := range []int{200, 404, 200} {
		status, err := r.read()
		require.NoError(t, err)
		require.Equal(t, want, status)
	}
	_, err := r.read()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestResponseBodyLargerThanBuffer(t *testing.T) {
	const size = 10 << 20
	r := newResponse(io.MultiReader(
		strings.NewReader("HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n"),
		io.LimitReader(zeros{}, size), strings.NewReader(okEmpty)))
	for range 2 {
		status, err := r.read()
		require.NoError(t, err)
		require.Equal(t, 200, status)
	}
	require.Equal(t, startBuffer, len(r.buf))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestResponseAllocatesNothing(t *testing.T) {
	stream := []byte("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\nDate: now\r\n\r\nhello")
	from := bytes.NewReader(stream)
	r := newResponse(from)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		from.Reset(stream)
		if _, err := r.read(); err != nil {
			panic(err)
		}
	}))
}

// FuzzResponse compares with net/http wherever both take the bytes for a whole answer.
func FuzzResponse(f *testing.F) {
	for _, a := range answers {
		if len(a.bytes) < 1<<10 { // mutating the large ones is slow and finds nothing else
			f.Add([]byte(a.bytes))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newResponse(iotest.HalfReader(bytes.NewReader(b)))
		status, err := r.read()
		var bad *malformedError
		if err != nil {
			require.True(t, errors.As(err, &bad) || errors.Is(err, io.ErrUnexpectedEOF), "%v", err)
			return
		}
		theirs := bufio.NewReader(bytes.NewReader(b))
		get, _ := http.NewRequest(http.MethodGet, "http://x/", nil)
		for {
			answer, err := http.ReadResponse(theirs, get)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, answer.Body); err != nil {
				return
			}
			if answer.StatusCode >= 200 {
				require.Equal(t, answer.StatusCode, status)
				require.Equal(t, remaining(theirs), r.buffered()+remaining(r.from), "bytes after the answer")
				return
			}
		}
	})
}

func remaining(r io.Reader) int {
	n, _ := io.Copy(io.Discard, r)
	return int(n)
}
