package inject

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// eachRestWay runs a test in each way in which a VU can speak HTTP/1.1, with a server whose
// connections are served by serve. It gets the connection below TLS, too.
func eachRestWay(t *testing.T, serve func(c, below net.Conn), test func(*testing.T, *HTTP)) {
	for _, way := range []struct {
		name                   string
		unix, blocking, secure bool
	}{
		{name: "loop"},
		{name: "loop on a unix socket", unix: true},
		{name: "goroutines", blocking: true},
		{name: "goroutines on a unix socket", blocking: true, unix: true},
		{name: "TLS", secure: true},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			config := newAuthority(t).config(t)
			network, address, socket := "tcp", "127.0.0.1:0", ""
			if way.unix {
				socket = filepath.Join(t.TempDir(), "s")
				network, address = "unix", socket
			}
			at := listen(t, network, address, func(below net.Conn) {
				defer below.Close()
				c := below
				if way.secure {
					c = tls.Server(below, config)
					defer c.Close()
					if c.(*tls.Conn).Handshake() != nil {
						return
					}
				}
				serve(c, below)
			})
			scheme, host := "http", at.String()
			if way.secure {
				scheme = "https"
			}
			if way.unix {
				host = "localhost"
			}
			h := target(t, scheme+"://"+host+"/", func(c *HTTPConfig) { c.Socket, c.Insecure = socket, true })
			h.blocking = way.blocking
			test(t, h)
		})
	}
}

// serveWell answers requests until there are no more.
func serveWell(c net.Conn, r *bufio.Reader) {
	for read(r) {
		io.WriteString(c, okEmpty)
	}
}

// endings are what a server can do with a connection on which no request comes.
var endings = map[string]func(c, below net.Conn){
	"closes": func(net.Conn, net.Conn) {},
	"resets": func(_, below net.Conn) {
		if tcp, is := below.(*net.TCPConn); is {
			tcp.SetLinger(0)
		}
		below.Close()
	},
	"says 408": func(c, _ net.Conn) {
		io.WriteString(c, "HTTP/1.1 408 Request Time-out\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	},
	"says 408 with a body until the end": func(c, _ net.Conn) {
		io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\ntoo late\n")
	},
}

// impatient serves connections on which a request comes in time.
func impatient(idle time.Duration, end func(c, below net.Conn)) func(c, below net.Conn) {
	return func(c, below net.Conn) {
		r := bufio.NewReader(c)
		c.SetReadDeadline(time.Now().Add(idle))
		if _, err := r.Peek(1); err != nil {
			end(c, below)
			return
		}
		c.SetReadDeadline(time.Time{})
		serveWell(c, r)
	}
}

// TestConnectionEndsBeforeTheGun: VUs that waited for the instant of the start sat on connections
// that the server had ended, and all of them failed.
func TestConnectionEndsBeforeTheGun(t *testing.T) {
	for _, tt := range []struct {
		idle, ahead time.Duration
		again       bool // connections are made again before the gun, and are there when it is fired
	}{
		{50 * time.Millisecond, 600 * time.Millisecond, false},
		{1200 * time.Millisecond, 2900 * time.Millisecond, true},
	} {
		for ending, end := range endings {
			t.Run(fmt.Sprintf("%s after %v", ending, tt.idle), func(t *testing.T) {
				t.Parallel()
				eachRestWay(t, impatient(tt.idle, end), func(t *testing.T, h *HTTP) {
					m, err := Run(t.Context(), h, Load{VUs: 3, Window: 300 * time.Millisecond, Timeout: 5 * time.Second,
						Start: time.Now().Add(tt.ahead).Round(0)})
					require.NoError(t, err)
					require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
					require.Positive(t, m.Requests)
					if tt.again {
						require.Zero(t, m.ConnectSum, "all are connected when the gun is fired")
					} else {
						require.Positive(t, m.ConnectSum)
					}
				})
			})
		}
	}
}

// http2Server starts a server that speaks HTTP/2.
func http2Server(t *testing.T, change func(*httptest.Server)) *HTTP {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	change(server)
	server.StartTLS()
	t.Cleanup(server.Close)
	return target(t, server.URL, func(c *HTTPConfig) { c.Insecure = true })
}

// TestHTTP2EndsAtRest is TestConnectionEndsBeforeTheGun, and the same between slices, for a server
// that says GOAWAY when a connection has been idle.
func TestHTTP2EndsAtRest(t *testing.T) {
	h := http2Server(t, func(s *httptest.Server) { s.Config.IdleTimeout = 50 * time.Millisecond })
	m, err := Run(t.Context(), h, Load{VUs: 3, Window: 300 * time.Millisecond, Timeout: 5 * time.Second,
		Start: time.Now().Add(500 * time.Millisecond).Round(0)})
	require.NoError(t, err)
	require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
	require.Positive(t, m.Requests)
	s, err := Open(t.Context(), h, 3, 5*time.Second)
	require.NoError(t, err)
	defer s.Close()
	for range 2 {
		time.Sleep(200 * time.Millisecond)
		slice, err := s.Slice(10 * time.Millisecond)
		require.NoError(t, err)
		require.Zero(t, slice.Failures)
		require.Positive(t, slice.Requests)
	}
}

// TestConnectionEndsBetweenSlices holds that a connection that the server ends while its VU rests
// is no failure.
func TestConnectionEndsBetweenSlices(t *testing.T) {
	for ending, end := range endings {
		t.Run(ending, func(t *testing.T) {
			t.Parallel()
			eachRestWay(t, func(c, below net.Conn) {
				r := bufio.NewReader(c)
				for {
					c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
					if !read(r) {
						end(c, below)
						return
					}
					io.WriteString(c, okEmpty)
				}
			}, func(t *testing.T, h *HTTP) {
				s, err := Open(t.Context(), h, 3, 5*time.Second)
				require.NoError(t, err)
				defer s.Close()
				for range 3 {
					slice, err := s.Slice(10 * time.Millisecond)
					require.NoError(t, err)
					require.Zero(t, slice.Failures)
					require.Positive(t, slice.Requests)
					time.Sleep(300 * time.Millisecond)
				}
				require.Zero(t, s.Take().Failures.Total())
			})
		})
	}
}

// TestServerThatAlwaysEnds holds that a server that ends each connection, at once or when the
// request has come, fails.
func TestServerThatAlwaysEnds(t *testing.T) {
	for ending, end := range endings {
		for _, when := range []string{"at once", "when a request has begun", "when a request has come"} {
			t.Run(ending+" "+when, func(t *testing.T) {
				t.Parallel()
				eachRestWay(t, func(c, below net.Conn) {
					switch r := bufio.NewReader(c); when {
					case "when a request has begun":
						r.Peek(1)
					case "when a request has come":
						read(r)
					}
					end(c, below)
				}, func(t *testing.T, h *HTTP) {
					begun := time.Now()
					m, err := Run(t.Context(), h, Load{VUs: 2, Window: 100 * time.Millisecond, Timeout: 3 * time.Second,
						Start: begun.Add(time.Second).Round(0)})
					require.NoError(t, err)
					require.Less(t, time.Since(begun), 4*time.Second)
					require.Zero(t, m.Completed)
					require.GreaterOrEqual(t, m.Failures.Total(), uint64(2))
					require.Equal(t, m.Failures.Total(), m.Failures[EOF]+m.Failures[Reset]+m.Failures[Status], "%v",
						m.Failures.ByName())
				})
			})
		}
	}
}

// TestFirstRequestAfterARestFails holds that the first request after a rest fails like any other
// where the server has got it.
func TestFirstRequestAfterARestFails(t *testing.T) {
	for ending, end := range endings {
		t.Run(ending, func(t *testing.T) {
			t.Parallel()
			eachRestWay(t, func(c, below net.Conn) {
				r := bufio.NewReader(c)
				for last := time.Now(); read(r); last = time.Now() {
					if time.Since(last) > 400*time.Millisecond {
						end(c, below)
						return
					}
					io.WriteString(c, okEmpty)
				}
			}, func(t *testing.T, h *HTTP) {
				s, err := Open(t.Context(), h, 3, 5*time.Second)
				require.NoError(t, err)
				defer s.Close()
				slice, err := s.Slice(10 * time.Millisecond)
				require.NoError(t, err)
				require.Zero(t, slice.Failures)
				time.Sleep(800 * time.Millisecond)
				slice, err = s.Slice(10 * time.Millisecond)
				require.NoError(t, err)
				require.EqualValues(t, 3, slice.Failures)
				require.Positive(t, slice.Requests)
			})
		})
	}
}

// TestServerSpeaksAtRest holds that an answer that nobody asked for is a failure, also where it
// came while the VU was at rest, and where the connection ended with it.
func TestServerSpeaksAtRest(t *testing.T) {
	for name, stray := range map[string]struct {
		says string
		ends bool
	}{
		"a second answer":           {okEmpty, false},
		"a second answer, and ends": {okEmpty, true},
		"another protocol":          {"421 idle for too long\r\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const vus = 3
			var strayed sync.Map // by address: how many connections there have said it, or will
			eachRestWay(t, func(c, below net.Conn) {
				r := bufio.NewReader(c)
				n, _ := strayed.LoadOrStore(below.LocalAddr().String(), new(atomic.Int64))
				if n.(*atomic.Int64).Add(1) > vus { // made because of that; on a busy machine it may wait as well
					serveWell(c, r)
					return
				}
				for {
					c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
					if !read(r) {
						break
					}
					io.WriteString(c, okEmpty)
				}
				io.WriteString(c, stray.says)
				if !stray.ends {
					c.SetReadDeadline(time.Time{})
					io.Copy(io.Discard, r)
				}
			}, func(t *testing.T, h *HTTP) {
				s, err := Open(t.Context(), h, vus, 5*time.Second)
				require.NoError(t, err)
				defer s.Close()
				_, err = s.Slice(10 * time.Millisecond)
				require.NoError(t, err)
				time.Sleep(300 * time.Millisecond)
				_, err = s.Slice(10 * time.Millisecond)
				require.NoError(t, err)
				require.Equal(t, map[string]uint64{"malformed": vus}, s.Take().Failures.ByName())
			})
		})
	}
}

// oddConnections gives every second connection to somebody else.
type oddConnections struct {
	net.Listener
	n   atomic.Int64
	odd func(net.Conn)
}

func (l *oddConnections) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || l.n.Add(1)%2 == 0 {
			return c, err
		}
		go l.odd(c)
	}
}

// TestHTTP2RequestThatWasNotProcessed: a request on a stream above the last one of a GOAWAY, or on
// one that was refused, failed, although the server had said that it may be made again.
func TestHTTP2RequestThatWasNotProcessed(t *testing.T) {
	for name, says := range map[string]string{
		"goes away":          frame(7, 0, 0, "\x00\x00\x00\x00\x00\x00\x00\x00"),
		"goes away in anger": frame(7, 0, 0, "\x00\x00\x00\x00\x00\x00\x00\x0b"),
		"refuses the stream": frame(3, 0, 1, "\x00\x00\x00\x07"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := newAuthority(t).config(t)
			config.NextProtos = []string{"h2"}
			var served, refused atomic.Uint64
			h := http2Server(t, func(s *httptest.Server) {
				s.Listener = &oddConnections{Listener: s.Listener, odd: func(c net.Conn) {
					defer c.Close()
					secure := tls.Server(c, config)
					r := bufio.NewReader(secure)
					if readHTTP2Request(r) {
						refused.Add(1)
						sayHang(frame(4, 0, 0, "")+says)(secure, r)
					}
				}}
				s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if served.Add(1)%5 == 0 {
						w.Header().Set("Connection", "close") // GOAWAY, so that there are more connections
					}
				})
			})
			m, err := Run(t.Context(), h, Load{VUs: 1, Window: 200 * time.Millisecond, Timeout: 5 * time.Second})
			require.NoError(t, err)
			require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
			require.Equal(t, served.Load(), m.Completed)
			require.GreaterOrEqual(t, refused.Load(), uint64(3))
		})
	}
}
