package inject

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// startNull starts a null server, which allocates nothing itself.
func startNull(t *testing.T) string {
	t.Helper()
	s, err := startNullServer(1)
	require.NoError(t, err)
	t.Cleanup(s.stop)
	return "http://" + s.address
}

// TestRequestsAllocateNothing holds that a run of many times more requests allocates no more.
func TestRequestsAllocateNothing(t *testing.T) {
	server := startNull(t)
	eachWay(t, func(t *testing.T, drive func(*HTTP) *HTTP) {
		h := drive(target(t, server))
		inject := func(window time.Duration) (requests, mallocs uint64) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			m, err := Run(t.Context(), h, Load{VUs: 8, Window: window, Timeout: 5 * time.Second})
			runtime.ReadMemStats(&after)
			require.NoError(t, err)
			require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
			return m.Completed, after.Mallocs - before.Mallocs
		}
		inject(10 * time.Millisecond) // what is made only once
		few, first := inject(40 * time.Millisecond)
		many, second := inject(400 * time.Millisecond)
		t.Logf("%d requests: %d mallocs; %d requests: %d mallocs", few, first, many, second)
		require.Greater(t, many, few+1000)
		// The runtime itself allocates now and then; one malloc in a hundred requests would be ours.
		require.Less(t, second, first+(many-few)/100)
	})
}

// TestThousandsOfVUs holds that many VUs connect quickly, without a failure.
func TestThousandsOfVUs(t *testing.T) {
	const vus = 2000
	h := target(t, startNull(t))
	begun := time.Now()
	var connected time.Duration
	m, err := Run(t.Context(), h, Load{VUs: vus, Window: 300 * time.Millisecond, Timeout: 10 * time.Second,
		OnEdge: func() {
			if connected == 0 {
				connected = time.Since(begun)
			}
		}})
	require.NoError(t, err)
	require.Less(t, connected, 2*time.Second)
	require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
	require.GreaterOrEqual(t, m.Completed, uint64(vus))
}

// openFiles counts the files that this process has open.
func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(all)
}

// nobody is an address where nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l.Close()
	return "http://" + l.Addr().String()
}

// stopAt returns a context that ends with the returned error when reached is called.
func stopAt(t *testing.T) (ctx context.Context, reached func(), why error) {
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	why = errors.New("enough")
	return ctx, func() { cancel(why) }, why
}

// TestInterruptInEachStep holds that a run ends soon wherever it is interrupted, that this is no failure, and that no file
// stays open.
func TestInterruptInEachStep(t *testing.T) {
	long := Load{VUs: 4, Window: time.Minute, Timeout: time.Minute}
	for name, start := range map[string]func(t *testing.T, reached func()) (string, Load){
		"connecting": func(t *testing.T, reached func()) (string, Load) {
			time.AfterFunc(50*time.Millisecond, reached) // it can be seen by nobody
			return full(t), long
		},
		"requesting": func(t *testing.T, reached func()) (string, Load) {
			return raw(t, func(c net.Conn, r *bufio.Reader) { read(r); reached(); io.Copy(io.Discard, r) }), long
		},
		"receiving": func(t *testing.T, reached func()) (string, Load) {
			return raw(t, func(c net.Conn, r *bufio.Reader) {
				read(r)
				time.AfterFunc(20*time.Millisecond, reached)
				flood(okHead+"Content-Length: 1000000000000\r\n\r\n", "x")(c, r)
			}), long
		},
		"answered without end": func(t *testing.T, reached func()) (string, Load) {
			time.AfterFunc(50*time.Millisecond, reached)
			return startNull(t), long
		},
		"lingering": func(t *testing.T, reached func()) (string, Load) {
			l := long
			l.Window = 10 * time.Millisecond
			return raw(t, func(c net.Conn, r *bufio.Reader) {
				for read(r) {
					io.WriteString(c, okEmpty)
				}
				reached()
				for err := error(nil); err == nil; time.Sleep(time.Millisecond) {
					_, err = io.WriteString(c, "x") // until the client has really gone
				}
			}), l
		},
		"paused": func(t *testing.T, reached func()) (string, Load) {
			time.AfterFunc(50*time.Millisecond, reached)
			return nobody(t), long
		},
		"at the end": func(t *testing.T, reached func()) (string, Load) {
			l := long
			l.Window = 50 * time.Millisecond
			time.AfterFunc(50*time.Millisecond, reached)
			return startNull(t), l
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, drive func(*HTTP) *HTTP) {
				ctx, reached, why := stopAt(t)
				server, l := start(t, reached)
				h := drive(target(t, server))
				begun := time.Now()
				m, err := Run(ctx, h, l)
				if name != "at the end" || err != nil {
					require.ErrorIs(t, err, why)
				}
				require.Less(t, time.Since(begun), lingering-100*time.Millisecond)
				if name == "paused" {
					require.Equal(t, m.Failures[Dial], m.Failures.Total(), "%v", m.Failures.ByName())
				} else {
					require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
				}
			})
		})
	}
}

// TestInterruptRacesWithTheEnd interrupts runs about when they end by themselves.
func TestInterruptRacesWithTheEnd(t *testing.T) {
	server := startNull(t)
	eachWay(t, func(t *testing.T, drive func(*HTTP) *HTTP) {
		h := drive(target(t, server))
		for i := range 60 {
			ctx, cancel := context.WithCancel(t.Context())
			timer := time.AfterFunc(time.Duration(i)*100*time.Microsecond, cancel)
			m, err := Run(ctx, h, Load{VUs: 3, Window: 3 * time.Millisecond, Timeout: time.Second})
			if err != nil {
				require.ErrorIs(t, err, context.Canceled)
			}
			require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
			timer.Stop()
			cancel()
		}
	})
}

// TestNoFileStaysOpen runs into every end that a connection can have.
func TestNoFileStaysOpen(t *testing.T) {
	short := Load{VUs: 4, Window: 30 * time.Millisecond, Timeout: 100 * time.Millisecond}
	for name, start := range map[string]func(t *testing.T) string{
		"kept":    startNull,
		"refused": nobody,
		"full":    full,
		"closed":  func(t *testing.T) string { return raw(t, func(c net.Conn, r *bufio.Reader) { read(r) }) },
		"greeted": func(t *testing.T) string { return raw(t, sayHang("220 mail ESMTP\r\n")) },
		"reset": func(t *testing.T) string {
			return raw(t, func(c net.Conn, r *bufio.Reader) { c.(*net.TCPConn).SetLinger(0) })
		},
		"silent": func(t *testing.T) string { return raw(t, sayHang("")) },
		"two": func(t *testing.T) string {
			return raw(t, func(c net.Conn, r *bufio.Reader) { read(r); sayHang(okEmpty+okEmpty)(c, r) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, drive func(*HTTP) *HTTP) {
				server := start(t)
				for _, cut := range []time.Duration{0, 20 * time.Millisecond} {
					before := openFiles(t)
					ctx, load := t.Context(), short
					if cut > 0 {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, cut)
						defer cancel()
						load.Window = time.Minute // on a busy machine, 30 ms may be over when the 20 ms are
					}
					_, err := Run(ctx, drive(target(t, server)), load)
					require.Equal(t, cut > 0, err != nil)
					// The server, in the same process, hears of the end of a connection a moment later.
					require.Eventually(t, func() bool { return openFiles(t) <= before }, 2*time.Second, time.Millisecond,
						"%d files before, %d after", before, openFiles(t))
				}
			})
		})
	}
}

// fewFiles is how many files the child of TestTooFewFiles may open.
const fewFiles = 300

func init() {
	children["few files"] = func() {
		u, err := url.Parse(os.Getenv("SERVER"))
		if err != nil {
			panic(err)
		}
		h, err := NewHTTP(HTTPConfig{URL: u})
		if err != nil {
			panic(err)
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: fewFiles, Max: fewFiles}); err != nil {
			panic(err)
		}
		for range 150 { // what the program has open besides
			if _, err := unix.Eventfd(0, 0); err != nil {
				panic(err)
			}
		}
		for _, vus := range []int{1000, 200} {
			_, err = Run(context.Background(), h, Load{VUs: vus, Window: time.Minute, Timeout: time.Minute})
			fmt.Println(err)
		}
	}
}

// TestTooFewFiles holds that a run ends with advice when a VU cannot have its socket: before it begins where that is plain
// from the limit, else when it happens.
func TestTooFewFiles(t *testing.T) {
	program, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = append(os.Environ(), child+"=few files", "SERVER="+startNull(t))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Equal(t, []string{
		"1000 VUs need as many sockets, but this process may open only 300 files: allow more (ulimit -n), or use fewer VUs",
		"injection with 200 VUs cut short: a socket for each of 200 VUs: too many open files; allow more open files (ulimit -n), or use fewer VUs",
	}, lines)
}

// handLoop returns a loop of one VU that a test drives by hand, connected to the last of its addresses.
func handLoop(t *testing.T, addresses ...string) *loop {
	t.Helper()
	var all []address
	for _, a := range addresses {
		u, err := url.Parse(a)
		require.NoError(t, err)
		at, err := target(t, "http://"+u.Host).socketAddresses(t.Context())
		require.NoError(t, err)
		all = append(all, at...)
	}
	l := Load{VUs: 1, Window: time.Minute, Timeout: time.Minute}
	r := &run{load: l, close: l.Window, until: l.Window, abort: func(err error) { panic(err) }, total: newTotal(l.Timeout)}
	loop, err := newLoop(r, target(t, addresses[0]), all, 1, 1)
	require.NoError(t, err)
	loop.connect(t.Context())
	t.Cleanup(func() {
		loop.drop(&loop.users[0])
		loop.release()
		runtime.UnlockOSThread()
	})
	require.Equal(t, stepReady, loop.users[0].step)
	return loop
}

// TestNextAddress holds that a name with several addresses is served by the one that listens.
func TestNextAddress(t *testing.T) {
	l := handLoop(t, nobody(t), startNull(t))
	require.EqualValues(t, 1, l.users[0].try)
	require.Zero(t, l.tally.failures.Total())
}

// TestClosedConnectionIsNotHeard holds that news of a connection that is closed, of which somebody else has a copy, are not
// taken for news of the next one: between fork and exec a child has copies of all.
func TestClosedConnectionIsNotHeard(t *testing.T) {
	served, closeFirst := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	server := raw(t, func(c net.Conn, r *bufio.Reader) {
		if first.CompareAndSwap(false, true) {
			close(served)
			<-closeFirst
			return
		}
		io.Copy(io.Discard, r)
	})
	l := handLoop(t, server)
	<-served
	u := &l.users[0]
	twin, err := unix.Dup(int(u.fd))
	require.NoError(t, err)
	defer unix.Close(twin)
	unix.Close(int(u.fd))
	l.dialing++
	l.dial(0)
	for u.step != stepReady {
		l.turn(l.patience())
	}
	close(closeFirst)
	// The copy hears it: then the loop, which is told first, has been told.
	require.Eventually(t, func() bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(twin), Events: unix.POLLIN}}, 0)
		return err == nil && n == 1
	}, 5*time.Second, time.Millisecond)
	l.scanAt = l.now // no patience
	l.turn(l.patience())
	require.False(t, u.early, "taken for the new connection's")
	require.False(t, u.hungUp)
}

// TestAnswerBeforeTheRequest holds that an answer that is there before the request is not taken for its answer.
func TestAnswerBeforeTheRequest(t *testing.T) {
	greeted := make(chan struct{})
	l := handLoop(t, raw(t, func(c net.Conn, r *bufio.Reader) {
		io.WriteString(c, okEmpty)
		close(greeted)
		io.Copy(io.Discard, r)
	}))
	<-greeted
	for !l.users[0].early {
		l.turn(l.patience())
	}
	l.run.epoch, l.started = time.Now(), true
	l.nextRequest(0)
	require.Equal(t, map[string]uint64{"malformed": 1}, l.tally.failures.ByName())
}
