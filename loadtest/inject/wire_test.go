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
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// eachWay runs a test with both ways to drive VUs.
func eachWay(t *testing.T, test func(t *testing.T, drive func(*HTTP) *HTTP)) {
	t.Helper()
	for name, blocking := range map[string]bool{"loop": false, "goroutines": true} {
		t.Run(name, func(t *testing.T) {
			test(t, func(h *HTTP) *HTTP { h.blocking = blocking; return h })
		})
	}
}

// TestAnswersSplitAtEveryByte holds that answers are understood wherever the network cuts them.
func TestAnswersSplitAtEveryByte(t *testing.T) {
	type split struct {
		answer string
		at     int // 0: after every byte
		status int
		close  bool
	}
	var splits []split
	for _, a := range answers {
		if a.err == "" && a.method == "" && len(a.bytes) < 200 {
			for at := range len(a.bytes) {
				splits = append(splits, split{a.bytes, at, a.status, a.closing})
			}
		}
	}
	eachWay(t, func(t *testing.T, drive func(*HTTP) *HTTP) {
		var next, good atomic.Int64
		server := raw(t, func(c net.Conn, r *bufio.Reader) {
			for read(r) {
				s := splits[int(next.Add(1)-1)%len(splits)]
				if s.status >= 200 && s.status < 300 {
					good.Add(1)
				}
				first := s.answer[:s.at]
				if s.at == 0 {
					for ; len(s.answer) > 1; s.answer = s.answer[1:] {
						io.WriteString(c, s.answer[:1])
					}
				}
				io.WriteString(c, first)
				time.Sleep(100 * time.Microsecond) // or the network would put both together again
				io.WriteString(c, s.answer[len(first):])
				if s.close {
					return
				}
			}
		})
		h := drive(target(t, server))
		var completed uint64
		var failures Failures
		for next.Load() < int64(len(splits)) {
			m, err := Run(t.Context(), h, Load{VUs: 8, Window: 100 * time.Millisecond, Timeout: 10 * time.Second})
			require.NoError(t, err)
			completed += m.Completed
			for c, n := range m.Failures {
				failures[c] += n
			}
		}
		require.EqualValues(t, good.Load(), completed)
		require.EqualValues(t, next.Load()-good.Load(), failures[Status])
		require.Equal(t, failures[Status], failures.Total(), "%v", failures.ByName())
	})
}

// TestLargeAnswersAreNotKept holds that an answer costs no memory, however long it is.
func TestLargeAnswersAreNotKept(t *testing.T) {
	const size, piece = 64 << 20, 64 << 10
	block := bytes.Repeat([]byte("x"), piece)
	chunk := fmt.Appendf(nil, "%x\r\n%s\r\n", piece, block)
	for name, a := range map[string]struct {
		head  string
		block []byte
		end   string
	}{
		"length":    {fmt.Sprintf("%sContent-Length: %d\r\n\r\n", okHead, size), block, ""},
		"chunks":    {okHead + "Transfer-Encoding: chunked\r\n\r\n", chunk, "0\r\n\r\n"},
		"until end": {okHead + "Connection: close\r\n\r\n", block, ""},
	} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, drive func(*HTTP) *HTTP) {
				server := raw(t, func(c net.Conn, r *bufio.Reader) {
					for read(r) {
						_, err := io.WriteString(c, a.head)
						for n := 0; n < size && err == nil; n += piece {
							_, err = c.Write(a.block) // not io.WriteString, which makes a copy
						}
						io.WriteString(c, a.end)
						if strings.Contains(a.head, "close") {
							return
						}
					}
				})
				h := drive(target(t, server))
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				m, err := Run(t.Context(), h, Load{VUs: 2, Window: 50 * time.Millisecond, Timeout: 10 * time.Second})
				runtime.ReadMemStats(&after)
				require.NoError(t, err)
				require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
				require.Positive(t, m.Completed)
				require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20))
			})
		})
	}
}

// TestLargeRequests sends bodies that no buffer holds to servers that take them in, or do not.
func TestLargeRequests(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: it takes seconds")
	}
	body := bytes.Repeat([]byte("0123456789abcdef"), 8<<20/16)
	const teapot = "HTTP/1.1 418 I'm a teapot\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
	for name, tt := range map[string]struct {
		class Class
		// serve is given a connection on which the head of a request has been read, and a channel that is
		// closed when the client has ended.
		serve func(c net.Conn, r *bufio.Reader, body io.Reader, over <-chan struct{}) (goOn bool)
	}{
		"reads and answers": {OK, func(c net.Conn, r *bufio.Reader, b io.Reader, over <-chan struct{}) bool {
			got := make([]byte, len(body))
			io.ReadFull(b, got)
			if n, _ := b.Read(make([]byte, 1)); n > 0 || !bytes.Equal(body, got) {
				io.WriteString(c, "wrong body\r\n")
				return false
			}
			io.WriteString(c, okEmpty)
			return true
		}},
		"reads slowly": {OK, func(c net.Conn, r *bufio.Reader, b io.Reader, over <-chan struct{}) bool {
			for {
				if _, err := io.CopyN(io.Discard, b, 256<<10); err != nil {
					break
				}
				time.Sleep(time.Millisecond)
			}
			io.WriteString(c, okEmpty)
			return true
		}},
		"answers before it reads": {OK, func(c net.Conn, r *bufio.Reader, b io.Reader, over <-chan struct{}) bool {
			io.WriteString(c, okEmpty)
			io.Copy(io.Discard, b)
			return true
		}},
		"answers and stops reading": {Status, func(c net.Conn, r *bufio.Reader, b io.Reader, over <-chan struct{}) bool {
			io.WriteString(c, teapot)
			c.(*net.TCPConn).CloseWrite()
			<-over
			return false
		}},
		"answers and closes": {Status, func(c net.Conn, r *bufio.Reader, b io.Reader, over <-chan struct{}) bool {
			io.WriteString(c, teapot)
			return false
		}},
		"resets in the body": {Reset, func(c net.Conn, r *bufio.Reader, b io.Reader, over <-chan struct{}) bool {
			io.CopyN(io.Discard, b, 1<<20)
			c.(*net.TCPConn).SetLinger(0)
			return false
		}},
		"never reads": {Timeout, func(c net.Conn, r *bufio.Reader, b io.Reader, over <-chan struct{}) bool {
			<-over
			return false
		}},
	} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, drive func(*HTTP) *HTTP) {
				var begun atomic.Uint64
				over := make(chan struct{})
				server := raw(t, func(c net.Conn, r *bufio.Reader) {
					for {
						req, err := http.ReadRequest(r)
						if err != nil {
							return
						}
						begun.Add(1)
						if !tt.serve(c, r, req.Body, over) {
							return
						}
					}
				})
				h := drive(target(t, server, func(c *HTTPConfig) { c.Method, c.Body = http.MethodPost, body }))
				l := Load{VUs: 2, Window: 50 * time.Millisecond, Timeout: 10 * time.Second}
				if tt.class == Timeout {
					l.Timeout = patience
				}
				started := time.Now()
				m, err := Run(t.Context(), h, l)
				close(over)
				require.NoError(t, err)
				require.Less(t, time.Since(started), l.Window+l.Timeout+time.Second)
				require.Positive(t, begun.Load())
				if tt.class == OK {
					require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
					require.Equal(t, begun.Load(), m.Completed)
					return
				}
				require.Zero(t, m.Completed)
				require.Equal(t, begun.Load(), m.Failures[tt.class], "%v", m.Failures.ByName())
				require.Equal(t, begun.Load(), m.Failures.Total(), "%v", m.Failures.ByName())
			})
		})
	}
}

// asked is what a server sees of a request.
type asked struct {
	Method, URI, Host, Body string
	Header                  http.Header
	Protocol                int
}

// TestRequestArrives holds that a server gets what was asked for, by the probe and by each way of
// injecting.
func TestRequestArrives(t *testing.T) {
	common := http.Header{"Accept": {"*/*"}, "User-Agent": {"rampart"}}
	with := func(more ...string) http.Header {
		h := common.Clone()
		for i := 0; i < len(more); i += 2 {
			h[more[i]] = append(h[more[i]], more[i+1])
		}
		return h
	}
	for name, tt := range map[string]struct {
		change func(*HTTPConfig)
		want   asked
	}{
		"GET":          {func(*HTTPConfig) {}, asked{Method: "GET", Header: common}},
		"HEAD":         {func(c *HTTPConfig) { c.Method = "HEAD" }, asked{Method: "HEAD", Header: common}},
		"a new method": {func(c *HTTPConfig) { c.Method = "BREW" }, asked{Method: "BREW", Header: common}},
		"POST of nothing": {func(c *HTTPConfig) { c.Method = "POST" },
			asked{Method: "POST", Header: with("Content-Length", "0")}},
		"PUT with a body": {func(c *HTTPConfig) { c.Method, c.Body = "PUT", []byte("a\r\n\x00b") },
			asked{Method: "PUT", Body: "a\r\n\x00b", Header: with("Content-Length", "5")}},
		"GET with a body": {func(c *HTTPConfig) { c.Body = []byte("hello") },
			asked{Method: "GET", Body: "hello", Header: with("Content-Length", "5")}},
		"headers": {func(c *HTTPConfig) {
			c.Header = http.Header{"x-a": {"1", "2"}, "Accept": {"text/html"}, "Cookie": {"a=b"}}
		},
			asked{Method: "GET", Header: http.Header{"Accept": {"text/html"}, "User-Agent": {"rampart"}, "X-A": {"1", "2"},
				"Cookie": {"a=b"}}}},
		"host": {func(c *HTTPConfig) { c.Header = http.Header{"Host": {"elsewhere.example"}} },
			asked{Method: "GET", Host: "elsewhere.example", Header: common}},
		"host that is empty": {func(c *HTTPConfig) { c.Header = http.Header{"Host": {}} },
			asked{Method: "GET", Header: common}},
	} {
		for _, scheme := range []string{"http", "https"} {
			t.Run(name+"/"+scheme, func(t *testing.T) {
				var mu sync.Mutex
				var got []asked
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					mu.Lock()
					defer mu.Unlock()
					got = append(got, asked{r.Method, r.RequestURI, r.Host, string(body), r.Header, r.ProtoMajor})
				}))
				taken := func() []asked {
					mu.Lock()
					defer mu.Unlock()
					defer func() { got = nil }()
					return got
				}
				want := tt.want
				want.URI, want.Protocol = "/p?q=a%20b", 1
				if scheme == "https" {
					want.Protocol = 2
					server.EnableHTTP2 = true
					server.StartTLS()
				} else {
					server.Start()
				}
				defer server.Close()
				if want.Host == "" {
					want.Host = server.Listener.Addr().String()
				}
				for _, blocking := range []bool{false, true} {
					h := target(t, server.URL+want.URI, tt.change, func(c *HTTPConfig) { c.Insecure = true })
					h.blocking = blocking
					probed := taken()
					require.Empty(t, probed)
					require.NoError(t, h.Probe(t.Context(), 5*time.Second))
					probed = taken()
					require.Len(t, probed, 1)
					probed[0].Header.Del("Connection") // it has one request
					m, err := Run(t.Context(), h, Load{VUs: 1, Window: 20 * time.Millisecond, Timeout: 5 * time.Second})
					require.NoError(t, err)
					require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
					injected := taken()
					require.Contains(t, []uint64{m.Completed, m.Completed + 1}, uint64(len(injected)), "one may cross the end")
					require.Positive(t, m.Completed)
					for _, g := range append(probed, injected...) {
						require.Empty(t, cmp.Diff(want, g))
					}
				}
			})
		}
	}
}

// TestHTTP2IsUsed holds that HTTP/2 is spoken exactly where the server offers it and nobody said
// not to.
func TestHTTP2IsUsed(t *testing.T) {
	for name, tt := range map[string]struct {
		offered, refused bool
		want             int
	}{
		"offered":             {true, false, 2},
		"offered and refused": {true, true, 1},
		"not offered":         {false, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var requests [3]atomic.Uint64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests[r.ProtoMajor].Add(1)
			}))
			server.EnableHTTP2 = tt.offered
			server.StartTLS()
			defer server.Close()
			h := target(t, server.URL, func(c *HTTPConfig) { c.Insecure, c.NoHTTP2 = true, tt.refused })
			require.NoError(t, h.Probe(t.Context(), 5*time.Second))
			m, err := Run(t.Context(), h, Load{VUs: 2, Window: 50 * time.Millisecond, Timeout: 5 * time.Second})
			require.NoError(t, err)
			require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
			require.EqualValues(t, requests[tt.want].Load(), m.Completed+1, "with the probe")
			require.Zero(t, requests[3-tt.want].Load())
			require.Equal(t, fmt.Sprintf("HTTP/%d.", tt.want), h.Protocol()[:7])
		})
	}
}

// TestUnixSocket loads a server on a unix socket, in each protocol.
func TestUnixSocket(t *testing.T) {
	for name, tt := range map[string]struct {
		url      string
		secure   bool
		blocking bool
	}{
		"loop":       {"http://localhost/", false, false},
		"goroutines": {"http://localhost/", false, true},
		"HTTP/2":     {"https://localhost/", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			l, err := net.Listen("unix", path)
			require.NoError(t, err)
			var requests atomic.Uint64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				if tt.secure != (r.ProtoMajor == 2) || r.Host != "localhost" {
					w.WriteHeader(http.StatusTeapot)
				}
			}))
			server.Listener.Close()
			server.Listener = l
			if tt.secure {
				server.EnableHTTP2 = true
				server.StartTLS()
			} else {
				server.Start()
			}
			defer server.Close()
			h := target(t, tt.url, func(c *HTTPConfig) { c.Socket, c.Insecure = path, true })
			h.blocking = tt.blocking
			require.NoError(t, h.Probe(t.Context(), 5*time.Second))
			m, err := Run(t.Context(), h, Load{VUs: 4, Window: 50 * time.Millisecond, Timeout: 5 * time.Second})
			require.NoError(t, err)
			require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
			require.Positive(t, m.Requests)
			require.Equal(t, requests.Load(), m.Completed+1, "with the probe")
		})
	}
}

// TestAddresses loads servers by addresses and names of both families, where they are there.
func TestAddresses(t *testing.T) {
	for name, tt := range map[string]struct{ listen, host string }{
		"IPv4":                      {"127.0.0.1", "127.0.0.1"},
		"IPv6":                      {"::1", "[::1]"},
		"a name, only IPv4 listens": {"127.0.0.1", "localhost"},
		"a name, only IPv6 listens": {"::1", "localhost"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.host == "localhost" {
				names, err := net.LookupHost("localhost")
				require.NoError(t, err)
				if len(names) < 2 {
					t.Skipf("localhost has only the address %v here", names)
				}
			}
			l, err := net.Listen("tcp", net.JoinHostPort(tt.listen, "0"))
			if err != nil && tt.listen == "::1" {
				t.Skipf("no IPv6 here: %v", err)
			}
			require.NoError(t, err)
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			server.Listener.Close()
			server.Listener = l
			server.Start()
			defer server.Close()
			_, port, err := net.SplitHostPort(l.Addr().String())
			require.NoError(t, err)
			eachWay(t, func(t *testing.T, drive func(*HTTP) *HTTP) {
				m, err := Run(t.Context(), drive(target(t, "http://"+tt.host+":"+port)),
					Load{VUs: 4, Window: 30 * time.Millisecond, Timeout: 5 * time.Second})
				require.NoError(t, err)
				require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
				require.Positive(t, m.Requests)
			})
		})
	}
}

// TestClassifyAlert holds that a TLS alert after the handshake is a failure of TLS, too.
func TestClassifyAlert(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	go func() {
		defer server.Close()
		io.ReadFull(server, make([]byte, 5))
		go io.Copy(io.Discard, server)
		io.WriteString(server, "\x15\x03\x03\x00\x02\x02\x28")
	}()
	err := tls.Client(client, &tls.Config{InsecureSkipVerify: true}).Handshake()
	require.ErrorContains(t, err, "remote error")
	require.Equal(t, TLS, Classify(err, Read))
}
