package inject

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// waiting counts the ports of clients of a server on this machine that are in TIME_WAIT.
func waiting(t *testing.T, server string) int {
	t.Helper()
	u, err := url.Parse(server)
	require.NoError(t, err)
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	require.NoError(t, err)
	table, err := os.ReadFile("/proc/net/tcp")
	require.NoError(t, err)
	n := 0
	for line := range bytes.Lines(table) {
		// sl local_address rem_address st ...
		f := bytes.Fields(line)
		if len(f) > 3 && strings.HasSuffix(string(f[2]), fmt.Sprintf(":%04X", port)) && string(f[3]) == "06" {
			n++
		}
	}
	return n
}

// TestNoPortIsLeftWaiting holds that a new connection for each request leaves no port in TIME_WAIT
// on the client's side, whoever closes first and however the request ended.
func TestNoPortIsLeftWaiting(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: it takes seconds")
	}
	const closing = okHead + "Connection: close\r\nContent-Length: 0\r\n\r\n"
	untilEnd := func(c net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) }
	for name, tt := range map[string]struct {
		answer string
		then   func(net.Conn, *bufio.Reader)
		secure bool
		class  Class
		want   uint64 // connections, at least
	}{
		"server closes first":               {closing, func(net.Conn, *bufio.Reader) {}, false, OK, 1000},
		"server waits":                      {closing, untilEnd, false, OK, 1000},
		"malformed answer and server waits": {"no\r\n", untilEnd, false, Malformed, 1000},
		"TLS, server closes first":          {closing, func(net.Conn, *bufio.Reader) {}, true, OK, 100},
		"TLS, server waits":                 {closing, untilEnd, true, OK, 100},
	} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, drive func(*HTTP) *HTTP) {
				var config *tls.Config
				if tt.secure {
					config = newAuthority(t).config(t)
				}
				var connections atomic.Uint64
				server := raw(t, func(c net.Conn, r *bufio.Reader) {
					connections.Add(1)
					if config != nil {
						secure := tls.Server(c, config)
						defer secure.Close()
						c, r = secure, bufio.NewReader(secure)
					}
					if read(r) {
						io.WriteString(c, tt.answer)
						tt.then(c, r)
					}
				})
				if tt.secure {
					server = "https" + strings.TrimPrefix(server, "http")
				}
				h := drive(target(t, server, func(c *HTTPConfig) { c.NoKeepAlive, c.Insecure = true, true }))
				for runs := 1; connections.Load() < tt.want; runs++ {
					l := Load{VUs: 8, Window: 50 * time.Millisecond, Timeout: 5 * time.Second}
					m, err := Run(t.Context(), h, l)
					require.NoError(t, err)
					require.Equal(t, m.Failures.Total(), m.Failures[tt.class], "%v", m.Failures.ByName())
					// Those that are connected when the window closes end like those that are kept.
					require.LessOrEqual(t, waiting(t, server), runs*l.VUs)
				}
			})
		})
	}
}

// full is a server that never accepts and whose queue is full, so that nothing answers who wants to
// connect.
func full(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, unix.Listen(fd, 0))
	bound, err := unix.Getsockname(fd)
	require.NoError(t, err)
	address := fmt.Sprintf("127.0.0.1:%d", bound.(*unix.SockaddrInet4).Port)
	for range 8 {
		c, err := net.DialTimeout("tcp", address, patience)
		if err != nil {
			return "http://" + address
		}
		t.Cleanup(func() { c.Close() })
	}
	require.Fail(t, "the queue is never full")
	return ""
}

// TestNoPortIsLeftWaitingAfterALevel: a level ended its connections first, so that their ports were
// gone for a minute where the server is on another machine.
func TestNoPortIsLeftWaitingAfterALevel(t *testing.T) {
	var ends, errs atomic.Int64
	server := raw(t, func(c net.Conn, r *bufio.Reader) {
		serveWell(c, r)
		if _, err := c.Read(make([]byte, 1)); err == io.EOF {
			ends.Add(1)
		} else {
			errs.Add(1)
		}
	})
	previous := farAway
	farAway = func(netip.Addr) bool { return true }
	defer func() { farAway = previous }()
	eachWay(t, func(t *testing.T, drive func(*HTTP) *HTTP) {
		ends.Store(0)
		for range 5 {
			m, err := Run(t.Context(), drive(target(t, server)),
				Load{VUs: 16, Window: 20 * time.Millisecond, Timeout: 5 * time.Second})
			require.NoError(t, err)
			require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
		}
		require.Less(t, waiting(t, server), 5*16/2, "a server that ends its side at once may be faster than the reset")
		require.Eventually(t, func() bool { return ends.Load() == 5*16 }, 5*time.Second, time.Millisecond,
			"the server sees the end of each connection, and no error: %d", errs.Load())
	})
	require.True(t, previous(netip.MustParseAddr("192.0.2.1")))
	require.False(t, previous(netip.MustParseAddr("::ffff:127.0.0.1")))
}

// TestServerNeverAccepts holds that an attempt to connect that nobody answers is a failure of class
// timeout, in time.
func TestServerNeverAccepts(t *testing.T) {
	server := full(t)
	eachWay(t, func(t *testing.T, drive func(*HTTP) *HTTP) {
		t.Parallel()
		l := Load{VUs: 2, Window: 200 * time.Millisecond, Timeout: patience}
		begun := time.Now()
		m, err := Run(t.Context(), drive(target(t, server)), l)
		require.NoError(t, err)
		require.Less(t, time.Since(begun), l.Timeout+l.Window+l.Timeout+time.Second) // before the gun, and after
		require.Equal(t, []string{"timeout"}, keys(m.Failures.ByName()))
		require.GreaterOrEqual(t, m.Failures.Total(), uint64(2*l.VUs))
	})
}

// TestServerComesBack holds that a level goes on when nobody listens for a while.
func TestServerComesBack(t *testing.T) {
	eachWay(t, func(t *testing.T, drive func(*HTTP) *HTTP) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		address := l.Addr().String()
		var before, after atomic.Uint64
		serve := func(l net.Listener, served *atomic.Uint64, until uint64) {
			for served.Load() < until {
				c, err := l.Accept()
				if err != nil {
					return
				}
				if read(bufio.NewReader(c)) {
					served.Add(1)
					io.WriteString(c, okHead+"Connection: close\r\nContent-Length: 0\r\n\r\n")
				}
				c.Close()
			}
			l.Close() // whoever is in its queue is reset
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			serve(l, &before, 20)
			time.Sleep(50 * time.Millisecond) // how long it is away
			again, err := net.Listen("tcp", address)
			if err != nil {
				return // after stays 0
			}
			defer time.AfterFunc(5*time.Second, func() { again.Close() }).Stop()
			serve(again, &after, 20)
		}()
		m, err := Run(t.Context(), drive(target(t, "http://"+address)),
			Load{VUs: 1, Window: 400 * time.Millisecond, Timeout: 5 * time.Second})
		require.NoError(t, err)
		<-done
		require.EqualValues(t, 20, after.Load())
		require.Equal(t, before.Load()+after.Load(), m.Completed)
		require.Positive(t, m.Failures[Dial])
		require.LessOrEqual(t, m.Failures[Reset], uint64(2), "in the queue when the server went away, twice")
		require.Equal(t, m.Failures[Dial]+m.Failures[Reset], m.Failures.Total(), "%v", m.Failures.ByName())
	})
}

// TestBusyWithoutConnecting: the time in which VUs connected was taken for one in which loops had
// nothing to do, so that the first Take said that they were many times as busy as they can be.
func TestBusyWithoutConnecting(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	socket, err := server.Listener.(*net.TCPListener).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, socket.Control(func(fd uintptr) { err = unix.Listen(int(fd), 0) }))
	require.NoError(t, err)
	address := server.Listener.Addr().String()
	for {
		c, err := net.DialTimeout("tcp", address, patience)
		if err != nil {
			break // the queue is full: who connects now is told to try again in a second
		}
		defer c.Close()
	}
	time.AfterFunc(200*time.Millisecond, server.Start)
	begun := time.Now()
	s, err := Open(t.Context(), target(t, "http://"+address), 1, 5*time.Second)
	require.NoError(t, err)
	defer s.Close()
	require.Greater(t, time.Since(begun), 500*time.Millisecond)
	_, err = s.Slice(50 * time.Millisecond)
	require.NoError(t, err)
	busy := s.Take().Strain.Busy
	require.Positive(t, busy)
	require.Less(t, busy, 1.5)
}
