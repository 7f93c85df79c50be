//go:build linux

package prefork

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// clients send one request after the other and repeat none: http.Transport would send a GET again
// on its own. Half of them keep their connections until they are told that these end, the others
// make one for each request.
type clients struct {
	s       *server
	group   sync.WaitGroup
	stop    chan struct{}
	pause   func()
	answers atomic.Int64
	refused atomic.Int64 // clients that ended because they were refused a connection
	tardy   atomic.Int64 // requests on connections that had been silent for lameDuck

	mu       sync.Mutex
	failures []error
}

// What a client does between an answer and its next request.
func busy() {}

// thinking leaves most of the machine to the tests that run at the same time. A proof has it to
// itself.
func thinking() {
	if !proof {
		time.Sleep(rand.N(20 * time.Millisecond))
	}
}

// startClients starts n clients that request path, and do pause before each request but the first
// of a connection.
func (s *server) startClients(n int, path string, pause func()) *clients {
	c := &clients{s: s, stop: make(chan struct{}), pause: pause}
	for i := range n {
		c.group.Go(func() { c.client(i%2 == 0, path) })
	}
	eventually(s.t, "load", func() bool { return c.answers.Load() > int64(4*n) })
	return c
}

func (c *clients) client(keep bool, path string) {
	dialer := net.Dialer{Timeout: late}
	for {
		begun := time.Now()
		conn, err := dialer.Dial("tcp", c.s.addr)
		if errors.Is(err, unix.ECONNREFUSED) {
			c.refused.Add(1)
			return
		}
		if err == nil {
			err = c.connection(conn, begun, keep, path)
			conn.Close()
		}
		if err != nil {
			c.mu.Lock()
			c.failures = append(c.failures, err)
			c.mu.Unlock()
		}
		select {
		case <-c.stop:
			return
		default:
		}
	}
}

// connection makes requests on a connection that was begun then. A client may come so late that a
// worker that leaves has closed it: one on which no request comes is, after lameDuck. That is no
// failure, and happens only where a client waits for a processor for so long.
func (c *clients) connection(conn net.Conn, begun time.Time, keep bool, path string) error {
	r := bufio.NewReader(conn)
	for {
		_, err := io.WriteString(conn, wire(path))
		silent := time.Since(begun)
		begun = time.Now()
		var res *http.Response
		if err == nil {
			err = conn.SetReadDeadline(time.Now().Add(late))
		}
		if err == nil {
			res, err = http.ReadResponse(r, nil)
		}
		if err != nil && silent >= lameDuck {
			c.tardy.Add(1)
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w, after %s of silence", err, silent)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return err
		}
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("answer %s", res.Status)
		}
		c.answers.Add(1)
		select {
		case <-c.stop:
			return nil
		default:
		}
		c.pause()
		if res.Close || !keep {
			return nil
		}
	}
}

// end stops the clients and requires that none of their requests has failed.
func (c *clients) end() {
	c.s.t.Helper()
	close(c.stop)
	c.group.Wait()
	require.Empty(c.s.t, c.failures)
	if n := c.tardy.Load(); n > 0 {
		c.s.t.Logf("%d requests came after %s of silence", n, lameDuck)
	}
}
