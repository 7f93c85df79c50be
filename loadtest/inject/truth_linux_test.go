package inject

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"rampart/loadtest/internal/race"
)

// serviceTimes are how long the truthful server takes for an answer.
var serviceTimes = map[string]func(*rand.Rand) time.Duration{
	"constant": func(*rand.Rand) time.Duration { return 20 * time.Millisecond },
	"exponential": func(r *rand.Rand) time.Duration {
		return time.Duration(r.ExpFloat64() * float64(10*time.Millisecond))
	},
	"bimodal": func(r *rand.Rand) time.Duration {
		if r.Float64() < 0.01 {
			return 100 * time.Millisecond
		}
		return 20 * time.Millisecond
	},
	"pause": func(*rand.Rand) time.Duration { return 2 * time.Millisecond },
}

const (
	pauseAfter  = 30 * time.Millisecond // of the first request for "pause"
	pauseLength = 300 * time.Millisecond
)

func init() { children["truth"] = serveTruth }

// serveTruth is a server in a process of its own, so that it shares no scheduler with the client.
// It keeps a record of how long each request took it, from the read of the last byte to the write
// of the answer. One thread does it all: what passes between the arrival of a request and its read
// is not in the record, and a scheduler would add to it. Its first line is its address.
func serveTruth() {
	runtime.LockOSThread()
	go func() {
		io.Copy(io.Discard, os.Stdin) // ends with the test
		os.Exit(0)
	}()
	s := &truth{random: rand.New(rand.NewPCG(rand.Uint64(), 0)), connections: make(map[int32]*patron),
		buf: make([]byte, 4096)}
	s.listen()
	for {
		s.wait()
		s.accept()
		for fd, p := range s.connections {
			s.step(fd, p)
		}
	}
}

// must is for what cannot fail in a process whose end its parent sees.
func must(err error) {
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		panic(err)
	}
}

type truth struct {
	listener    int
	random      *rand.Rand
	connections map[int32]*patron
	buf         []byte
	sockets     []unix.PollFd
	record      []time.Duration
	first       time.Time // request for "pause"
}

// patron is one connection.
type patron struct {
	begun, due time.Time     // of the request; due is zero: none
	delay      time.Duration // of the first answer
	took       []time.Duration
}

func (s *truth) listen() {
	var err error
	s.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	must(err)
	must(unix.Bind(s.listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	must(unix.Listen(s.listener, unix.SOMAXCONN))
	bound, err := unix.Getsockname(s.listener)
	must(err)
	fmt.Printf("127.0.0.1:%d\n", bound.(*unix.SockaddrInet4).Port)
}

// wait returns when there is something to do.
func (s *truth) wait() {
	sockets := append(s.sockets[:0], unix.PollFd{Fd: int32(s.listener), Events: unix.POLLIN})
	var first time.Time
	for fd, p := range s.connections {
		switch {
		case p.due.IsZero():
			sockets = append(sockets, unix.PollFd{Fd: fd, Events: unix.POLLIN})
		case first.IsZero() || p.due.Before(first):
			first = p.due
		}
	}
	s.sockets = sockets
	var until *unix.Timespec
	if !first.IsZero() {
		left := unix.NsecToTimespec(max(time.Until(first), 0).Nanoseconds())
		until = &left
	}
	if _, err := unix.Ppoll(sockets, until, nil); !errors.Is(err, unix.EINTR) {
		must(err)
	}
}

// accept takes a connection if there is one. The first answers are spread, so that not all are due
// at the same time.
func (s *truth) accept() {
	fd, _, err := unix.Accept4(s.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	must(err)
	if err == nil {
		must(unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
		s.connections[int32(fd)] = &patron{delay: time.Duration(len(s.connections)) * time.Millisecond}
	}
}

func (s *truth) step(fd int32, p *patron) {
	if !p.due.IsZero() {
		s.answer(fd, p)
		return
	}
	n, err := receive(fd, s.buf)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
	case err != 0 || n == 0:
		// A VU always has one request under way when the window closes. It is no part of the window.
		s.record = append(s.record, p.took[:max(len(p.took)-1, 0)]...)
		delete(s.connections, fd)
		unix.Close(int(fd))
	default:
		p.begun = time.Now()
		if !bytes.HasSuffix(s.buf[:n], []byte("\r\n\r\n")) {
			panic("a request in two pieces")
		}
		path := strings.TrimPrefix(strings.Fields(string(s.buf[:n]))[1], "/")
		if path == "record" {
			s.report(fd)
			return
		}
		p.due = p.begun.Add(serviceTimes[path](s.random) + p.delay)
		p.delay = 0
		if path == "pause" {
			p.due = s.afterPause(p.due)
		}
	}
}

// afterPause moves what is due in the pause to its end.
func (s *truth) afterPause(due time.Time) time.Time {
	if s.first.IsZero() {
		s.first = time.Now()
	}
	if since := due.Sub(s.first); since < pauseAfter || since >= pauseAfter+pauseLength {
		return due
	}
	return s.first.Add(pauseAfter + pauseLength)
}

// answer answers if it is time to.
func (s *truth) answer(fd int32, p *patron) {
	if time.Now().Before(p.due) {
		return
	}
	_, _ = send(fd, []byte(okEmpty))
	p.took = append(p.took, time.Since(p.begun))
	p.due = time.Time{}
}

// report answers with the record, and begins a new one.
func (s *truth) report(fd int32) {
	b, err := json.Marshal(s.record)
	must(err)
	s.record, s.first = nil, time.Time{}
	b = append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", len(b)), b...)
	for len(b) > 0 {
		n, _ := send(fd, b)
		b = b[max(n, 0):]
	}
}

// startTruth starts a truthful server and returns its URL.
func startTruth(t *testing.T) string {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), child+"=truth")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return "http://" + strings.TrimSpace(address)
}

// fetchRecord returns the server's record since the last call, sorted.
func fetchRecord(t *testing.T, server string) []time.Duration {
	t.Helper()
	resp, err := http.Get(server + "/record")
	require.NoError(t, err)
	defer resp.Body.Close()
	var record []time.Duration
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&record))
	slices.Sort(record)
	return record
}

// at is the quantile q of sorted values, by the rule of the histogram.
func at(sorted []time.Duration, q float64) time.Duration {
	return sorted[max(int(q*float64(len(sorted))+0.5), 1)-1]
}

// quantiles are those that have to be true. 1 is the maximum.
var quantiles = []float64{0.5, 0.95, 0.99, 1}

const (
	// rounds is over how many short rounds the median difference decides: a machine that others use as
	// well stalls now and then, and a single round that is hit says nothing about the injector.
	rounds = 5
	// attempts is how often the rounds may be repeated, where more than half of them were hit. What
	// the injector measures wrongly it measures wrongly every time.
	attempts = 4
)

// allowed is how far the client may be from what the server took: 1 % and 100 µs. That needs a
// machine that does nothing else (make truth). Beside other tests, where whoever is ready to run
// may have to wait, it is as much as still finds a mistake.
func allowed(server time.Duration) time.Duration {
	if os.Getenv("TRUTH") != "" {
		return server/100 + 100*time.Microsecond
	}
	return server/10 + 2*time.Millisecond
}

// differences injects one round, and returns for each q by how much more than allowed the client is
// off the server.
func differences(t *testing.T, h *HTTP, server string, l Load, qs []float64) []time.Duration {
	t.Helper()
	fetchRecord(t, server)
	m, err := Run(t.Context(), h, l)
	require.NoError(t, err)
	require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
	record := fetchRecord(t, server)
	require.EqualValues(t, len(record), m.Requests, "the client counts what the server does")
	var all []time.Duration
	for _, q := range qs {
		client, server := m.Quantile(q), at(record, q)
		all = append(all, max(client-server, server-client)-allowed(server))
	}
	return all
}

// requireTruth holds for each quantile that the median of its differences over several rounds is
// allowed.
func requireTruth(t *testing.T, h *HTTP, server string, l Load, open []float64) {
	t.Helper()
	for attempt := 1; len(open) > 0; attempt++ {
		byQuantile := make([][]time.Duration, len(open))
		for range rounds {
			for i, d := range differences(t, h, server, l, open) {
				byQuantile[i] = append(byQuantile[i], d)
			}
		}
		var still []float64
		for i, ds := range byQuantile {
			slices.Sort(ds)
			t.Logf("quantile %v, beyond what is allowed: %v", open[i], ds)
			if ds[rounds/2] > 0 {
				still = append(still, open[i])
			}
		}
		open = still
		if attempt == attempts {
			break
		}
	}
	require.Empty(t, open, "quantiles that are off")
}

// TestTruth compares quantiles with the server's own record of the same requests.
func TestTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: it takes seconds")
	}
	server := startTruth(t)
	for _, tt := range []struct {
		name, times string
		blocking    bool
	}{
		{"constant", "constant", false},
		{"exponential", "exponential", false},
		{"bimodal", "bimodal", false},
		{"bimodal, goroutines", "bimodal", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := target(t, server+"/"+tt.times)
			h.blocking = tt.blocking
			requireTruth(t, h, server, Load{VUs: 16, Window: 160 * time.Millisecond, Timeout: 5 * time.Second}, quantiles)
		})
	}
}

// TestPauseIsSeen holds that a pause of the server appears at its real size: it hits as many
// requests as there are VUs, which are more than a thousandth of all.
func TestPauseIsSeen(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: it takes seconds")
	}
	server := startTruth(t)
	for way, blocking := range map[string]bool{"loop": false, "goroutines": true} {
		t.Run(way, func(t *testing.T) {
			h := target(t, server+"/pause")
			h.blocking = blocking
			l := Load{VUs: 8, Window: 350 * time.Millisecond, Timeout: 5 * time.Second}
			var seen []time.Duration
			for range 3 {
				fetchRecord(t, server)
				m, err := Run(t.Context(), h, l)
				require.NoError(t, err)
				require.EqualValues(t, len(fetchRecord(t, server)), m.Requests)
				seen = append(seen, m.Quantile(0.999))
			}
			slices.Sort(seen)
			// Between the pause and the pause plus what the request would have taken anyway.
			require.InDelta(t, pauseLength+time.Millisecond, seen[1], float64(race.Slowness*6*time.Millisecond), "%v", seen)
		})
	}
}
