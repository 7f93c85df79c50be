//go:build linux

package prefork

import (
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// testListener is the listener of slot 0 of two, in this process.
func testListener(t *testing.T) *listener {
	t.Helper()
	socket, addr, err := openSocket("127.0.0.1:0")
	require.NoError(t, err)
	defer unix.Close(socket)
	file, err := handout(socket, "listener")
	require.NoError(t, err)
	board, _ := testBoard(t, 2, 0, 0)
	board.setState(0, stateReady)
	l, err := newListener(file, board, 0)
	require.NoError(t, err)
	require.Equal(t, addr.String(), l.Addr().String())
	t.Cleanup(func() { l.Close() })
	return l
}

func connect(t *testing.T, l *listener) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func accept(t *testing.T, l *listener) *conn {
	t.Helper()
	c, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c.(*conn)
}

func open(l *listener) uint64 { return l.board.slot(0)[slotConnections].Load() }

func TestListenerCounts(t *testing.T) {
	l := testListener(t)
	connect(t, l)
	connect(t, l)
	a, b := accept(t, l), accept(t, l)
	require.Equal(t, uint64(2), open(l))
	require.Equal(t, uint64(2), l.board.words[headAccepts].Load())
	require.NoError(t, a.Close())
	require.Equal(t, uint64(1), open(l))
	require.ErrorIs(t, a.Close(), net.ErrClosed)
	require.Equal(t, uint64(1), open(l), "counted once")
	b.enter(http.StateHijacked)
	require.Equal(t, uint64(1), open(l), "still open")
	require.Zero(t, l.letGo(0, 0), "but not net/http's")
}

func TestListenerEndsWhenTheQueueIsEmpty(t *testing.T) {
	l := testListener(t)
	for range 3 {
		connect(t, l)
	}
	l.setMode(untilDone)
	for range 3 {
		accept(t, l)
	}
	_, err := l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestListenerLeavesTheQueue(t *testing.T) {
	l := testListener(t)
	connect(t, l)
	l.setMode(closed)
	_, err := l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
	require.Zero(t, open(l))
}

// A change of mode reaches an Accept that waits, and so does Close.
func TestListenerWakes(t *testing.T) {
	for name, end := range map[string]func(*listener){
		"untilDone": func(l *listener) { l.setMode(untilDone) },
		"Close":     func(l *listener) { l.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			l := testListener(t)
			accepted := make(chan error, 1)
			go func() {
				_, err := l.Accept()
				accepted <- err
			}()
			l.setMode(greedy) // not an end
			select {
			case err := <-accepted:
				require.FailNow(t, "ended", "%v", err)
			case <-time.After(20 * time.Millisecond):
			}
			end(l)
			require.ErrorIs(t, <-accepted, net.ErrClosed)
		})
	}
}

// Out of turn it waits, and takes the connection when nobody else does.
func TestListenerIsPatient(t *testing.T) {
	l := testListener(t)
	l.board.setState(1, stateReady)
	l.board.slot(0)[slotConnections].Store(1)
	begin := time.Now()
	connect(t, l)
	accept(t, l)
	require.GreaterOrEqual(t, time.Since(begin), patience)
	require.Equal(t, uint64(1), l.board.slot(1)[slotMissed].Load())
	prompt := 0
	for range 5 {
		begin = time.Now()
		connect(t, l)
		accept(t, l)
		if time.Since(begin) < patience {
			prompt++
		}
	}
	require.Positive(t, prompt, "the other one is passed over now")
}

// TestLetGoWithHalfAHead: a request whose head had come in part, and had been read, was cut.
func TestLetGoWithHalfAHead(t *testing.T) {
	l := testListener(t)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})}
	follow(srv, &inflight{slot: l.board.slot(0)})
	client := connect(t, l)
	go srv.Serve(l)
	defer srv.Close()
	_, err := client.Write([]byte("GET / HTTP/1.1\r\nHo"))
	require.NoError(t, err)
	only := func() *conn {
		l.mu.Lock()
		defer l.mu.Unlock()
		for c := range l.conns {
			return c
		}
		return nil
	}
	eventually(t, "it is read", func() bool { c := only(); return c != nil && c.begun.Load() && !c.unread() })
	l.setMode(closed)
	require.Equal(t, 1, l.letGo(monotonic(), 0))
	_, err = client.Write([]byte("st: x\r\n\r\n"))
	require.NoError(t, err)
	require.NoError(t, client.SetReadDeadline(time.Now().Add(late)))
	answer := make([]byte, len("HTTP/1.1 204"))
	_, err = io.ReadFull(client, answer)
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 204", string(answer))
	eventually(t, "it is idle", func() bool { return !only().begun.Load() })
	l.letGo(monotonic(), 0)
	eventually(t, "it is let go", func() bool { return only() == nil })
}

func TestLetGo(t *testing.T) {
	l := testListener(t)
	client := connect(t, l)
	c := accept(t, l)
	l.setMode(closed)
	buf := make([]byte, 1)
	reading := func() error {
		_, err := c.Read(buf)
		return err
	}
	begin := monotonic()
	require.Equal(t, 1, l.letGo(begin, time.Hour), "young")
	require.False(t, c.let)

	c.enter(http.StateActive)
	require.Equal(t, 1, l.letGo(begin, 0))
	require.False(t, c.let, "has a request")

	c.enter(http.StateIdle)
	require.Equal(t, 1, l.letGo(begin, 0))
	require.ErrorIs(t, reading(), os.ErrDeadlineExceeded)

	// A request that had been read before: its body comes later.
	c.enter(http.StateActive)
	_, err := client.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, reading())

	// And one that has arrived and is not read yet.
	c.enter(http.StateIdle)
	_, err = client.Write([]byte("y"))
	require.NoError(t, err)
	eventually(t, "it arrives", c.unread)
	l.letGo(begin, 0)
	require.NoError(t, reading())
}
