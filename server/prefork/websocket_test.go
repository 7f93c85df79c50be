//go:build linux

package prefork

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// socketServer serves WebSockets that send back what they get, and are told when the server stops.
func socketServer(srv *http.Server, mux *http.ServeMux) {
	stopping, stop := context.WithCancel(context.Background())
	srv.RegisterOnShutdown(stop)
	mux.HandleFunc("/socket", func(rw http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(rw, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		// Read's context ends the connection without a word, so the goodbye comes from beside it.
		goodbye := context.AfterFunc(stopping, func() { c.Close(websocket.StatusGoingAway, "") })
		defer goodbye()
		for {
			kind, text, err := c.Read(context.Background())
			if err != nil {
				return
			}
			if string(text) == "pid" {
				text = fmt.Append(nil, os.Getpid())
			}
			if err := c.Write(context.Background(), kind, text); err != nil {
				return
			}
		}
	})
}

// sockets are clients that send a message, wait for it to come back, and connect again when they
// are told that the server goes. Anything else is a failure.
func (s *server) sockets(n int) (messages *atomic.Int64, end func()) {
	messages = new(atomic.Int64)
	stop := make(chan struct{})
	var group sync.WaitGroup
	failures := make(chan error, n)
	client := func() error {
		for {
			ctx, cancel := context.WithTimeout(context.Background(), late)
			defer cancel()
			c, _, err := websocket.Dial(ctx, "ws://"+s.addr+"/socket", nil)
			if errors.Is(err, unix.ECONNREFUSED) {
				return nil
			}
			if err != nil {
				return err
			}
			defer c.CloseNow()
			for {
				select {
				case <-stop:
					return c.Close(websocket.StatusNormalClosure, "")
				default:
				}
				err := c.Write(ctx, websocket.MessageText, []byte("hello"))
				if err == nil {
					_, _, err = c.Read(ctx)
				}
				if websocket.CloseStatus(err) == websocket.StatusGoingAway {
					break
				}
				if err != nil {
					return err
				}
				messages.Add(1)
			}
		}
	}
	for range n {
		group.Go(func() {
			if err := client(); err != nil {
				failures <- err
			}
		})
	}
	return messages, func() {
		s.t.Helper()
		close(stop)
		group.Wait()
		close(failures)
		for err := range failures {
			require.NoError(s.t, err)
		}
	}
}

// WebSockets under reloads and to the stop: each is told to go, none is cut.
func TestWebSocketsUnderReload(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1})
	messages, end := s.sockets(6)
	for n := range often(3, 20) {
		before := messages.Load()
		eventually(t, "messages", func() bool { return messages.Load() > before+100 })
		s.signal(unix.SIGHUP)
		eventually(t, "reloaded", func() bool { return strings.Count(s.text(), "msg=reloaded") == n+1 })
	}
	before := messages.Load()
	eventually(t, "messages", func() bool { return messages.Load() > before+100 })
	s.signal(unix.SIGTERM)
	require.Equal(t, 0, s.wait())
	end()
	require.NotContains(t, s.text(), "cut off")
}

// A connection that a handler took over is no request that became too old, however long it lasts.
func TestSocketIsNoStuckRequest(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1, Timeout: slowness * 300 * time.Millisecond})
	c, _, err := websocket.Dial(t.Context(), "ws://"+s.addr+"/socket", nil)
	require.NoError(t, err)
	defer c.CloseNow()
	// The client hears of the new protocol before the server has counted the request as over.
	eventually(t, "it is over", func() bool { return s.shared().Status.Workers[0].InFlight == 1 })
	eventually(t, "it lasts", func() bool {
		w := s.shared().Status.Workers[0]
		require.Equal(t, uint64(1), w.InFlight, "the one that asks")
		return w.AgeSeconds > slowness*0.9
	})
	require.NoError(t, c.Write(t.Context(), websocket.MessageText, []byte("pid")))
	_, text, err := c.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(s.pidsStarted()[0]), string(text))
	require.NotContains(t, s.text(), "aborting worker")
}

// A worker whose work another one has taken over keeps such a connection for as long as the grace,
// and what is left then is cut off with a word.
func TestTakenOverConnectionKeepsItsWorkerForTheGrace(t *testing.T) {
	t.Parallel()
	const grace = (1 + slowness) * time.Second
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1, Grace: grace})
	c := s.dial(wire("/hijack"))
	head := make([]byte, len("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"))
	_, err := c.Read(head)
	require.NoError(t, err)
	start := time.Now()
	s.signal(unix.SIGHUP)
	s.waitLog("msg=reloaded")
	require.Less(t, time.Since(start), grace, "a reload does not wait for the old worker's end")
	time.Sleep(lameDuck + 100*time.Millisecond)
	_, err = c.Write([]byte("x"))
	require.NoError(t, err)
	_, err = c.Read(head[:1])
	require.NoError(t, err, "it serves still")
	_, err = c.Read(head)
	require.Error(t, err)
	require.WithinRange(t, time.Now(), start.Add(grace-100*time.Millisecond), start.Add(grace+quick))
	s.waitLog("1 connections that handlers had taken over were cut off")
	require.NotErrorIs(t, syscall.Kill(s.pidsStarted()[1], 0), unix.ESRCH)
}
