package inject

import (
	"bufio"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCutConnectionsAreCounted holds that successes and failures equal the server's own count
// exactly, over many requests of which a part ends with its connection.
func TestCutConnectionsAreCounted(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: it takes seconds")
	}
	for _, way := range []struct {
		name     string
		blocking bool
		requests uint64
	}{{"loop", false, 100_000}, {"goroutines", true, 20_000}} {
		t.Run(way.name, func(t *testing.T) {
			const every = 50 // how many requests share one that is cut
			var requests, good, closed, reset atomic.Uint64
			server := raw(t, func(c net.Conn, r *bufio.Reader) {
				half := okHead + "Content-Length: 10\r\n\r\nhalf"
				for {
					line, err := r.ReadSlice('\n')
					if err != nil {
						return
					}
					if len(line) > len("\r\n") {
						continue
					}
					n := requests.Add(1)
					if n%every > 0 {
						good.Add(1)
						io.WriteString(c, okEmpty)
						continue
					}
					switch n / every % 6 {
					case 0:
						closed.Add(1)
					case 1:
						closed.Add(1)
						io.WriteString(c, half)
					case 2:
						reset.Add(1)
						c.(*net.TCPConn).SetLinger(0)
					case 3:
						reset.Add(1)
						io.WriteString(c, half)
						c.(*net.TCPConn).SetLinger(0)
					case 4:
						good.Add(1)
						io.WriteString(c, okHead+"Connection: close\r\nContent-Length: 0\r\n\r\n")
					case 5:
						good.Add(1)
						io.WriteString(c, okHead+"Connection: close\r\nContent-Length: 0\r\n\r\n")
						c.(*net.TCPConn).SetLinger(0)
					}
					return
				}
			})
			h := target(t, server)
			h.blocking = way.blocking
			var completed uint64
			var failures Failures
			for requests.Load() < way.requests {
				m, err := Run(t.Context(), h, Load{VUs: 16, Window: 500 * time.Millisecond, Timeout: 10 * time.Second})
				require.NoError(t, err)
				completed += m.Completed
				for c, n := range m.Failures {
					failures[c] += n
				}
			}
			require.Equal(t, good.Load(), completed)
			require.Equal(t, closed.Load(), failures[EOF])
			require.Equal(t, reset.Load(), failures[Reset])
			require.Equal(t, requests.Load(), completed+failures.Total(), "%v", failures.ByName())
			t.Logf("%d requests, %d cut", requests.Load(), failures.Total())
		})
	}
}
