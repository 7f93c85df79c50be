package k6

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
)

// nobody is where nobody listens; a fake k6 does not mind.
const nobody = "http://user:geheim@127.0.0.1:1/"

func TestNewRefuses(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for want, change := range map[string]func(*inject.HTTPConfig){
		"go install go.k6.io/k6@latest": func(*inject.HTTPConfig) {},
		"set-up/install-k6":             func(*inject.HTTPConfig) {},
		"unix socket /run/x":            func(c *inject.HTTPConfig) { c.Socket = "/run/x" },
		"scheme":                        func(c *inject.HTTPConfig) { c.URL.Scheme = "ftp" },
		"the host is missing":           func(c *inject.HTTPConfig) { c.URL.Host = "" },
		"invalid method":                func(c *inject.HTTPConfig) { c.Method = "GET /\r\nX:" },
		"header X-A: k6 can only":       func(c *inject.HTTPConfig) { c.Header = http.Header{"X-A": {"secret\xff"}} },
	} {
		u, err := url.Parse(nobody)
		require.NoError(t, err)
		c := inject.HTTPConfig{URL: u}
		change(&c)
		_, err = New(c)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "geheim")
		require.NotContains(t, err.Error(), "secret")
	}
	u, _ := url.Parse(nobody)
	_, err := New(inject.HTTPConfig{URL: u})
	require.ErrorIs(t, err, exec.ErrNotFound)
}

func TestInjectRefuses(t *testing.T) {
	e := fake(t, "nothing", nobody)
	for want, change := range map[string]func(*inject.Load){
		"0 VUs": func(l *inject.Load) { l.VUs = 0 }, "window of 0s": func(l *inject.Load) { l.Window = 0 },
		"warm-up of -1s": func(l *inject.Load) { l.Warmup = -time.Second },
		"timeout of 0s":  func(l *inject.Load) { l.Timeout = 0 },
	} {
		l := load(1)
		change(&l)
		_, err := e.Inject(t.Context(), l)
		require.ErrorContains(t, err, want)
	}
}

func TestFailureOfK6(t *testing.T) {
	for act, want := range map[string]string{
		"fail":    "k6 exited with 107; its last words:\nit is all wrong\nreally",
		"garbage": "k6 gave no summary that can be read: invalid character",
		"nothing": "k6 gave no summary that can be read: unexpected end of JSON",
		"kill":    "k6 ended: signal: killed",
		"leak":    "k6 exited with 1;",
	} {
		t.Run(act, func(t *testing.T) {
			_, err := fake(t, act, nobody).Inject(t.Context(), load(1))
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), "geheim")
			require.NotContains(t, err.Error(), credentials(url.UserPassword("user", "geheim")))
		})
	}
}

// TestSecrets holds that other users of the machine see no password among the arguments, and that
// what the user has set up for k6 elsewhere does not apply.
func TestSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "seen")
	t.Setenv("RAMPART_TEST_FILE", file)
	t.Setenv("K6_VUS", "1000")
	t.Setenv("https_proxy", "http://proxy")
	e := fake(t, "arguments", nobody)
	_, err := e.Inject(t.Context(), load(1))
	require.NoError(t, err)
	seen, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, never := range []string{"geheim", credentials(e.config.URL.User), "K6_VUS", "proxy"} {
		require.NotContains(t, string(seen), never)
	}
	var got [][]string
	require.NoError(t, json.Unmarshal(seen, &got))
	require.Contains(t, got[0], "run")
	for i, a := range got[0] {
		if a == "--config" {
			require.NoFileExists(t, got[0][i+1], "it is removed afterwards")
		}
	}
}

func TestMeasurementOfFake(t *testing.T) {
	e := fake(t, "edges", nobody)
	edges := 0
	l := load(3)
	l.OnEdge = func() { edges++ }
	m, err := e.Inject(t.Context(), l)
	require.NoError(t, err)
	require.Equal(t, 2, edges)
	require.Equal(t, l.Window, m.Window)
	require.Equal(t, l.Warmup, m.Warmup)
	require.Equal(t, 3, m.VUs)
	require.Zero(t, m.Requests)
	require.EqualValues(t, 3, m.Completed)
	require.Equal(t, 1500*time.Microsecond, m.ConnectSum)
	require.Equal(t, map[string]uint64{"timeout": 2}, m.Failures.ByName())
	require.Zero(t, m.Quantile(0.95))
}

func TestCanceled(t *testing.T) {
	why := errors.New("enough")
	for act, completed := range map[string]uint64{"until interrupted": 7, "deaf": 0} {
		t.Run(act, func(t *testing.T) {
			e := fake(t, act, nobody)
			e.grace = 500 * time.Millisecond
			ctx, cancel := context.WithCancelCause(t.Context())
			l := load(1)
			l.Window = time.Minute
			edges := 0
			l.OnEdge = func() {
				if edges++; edges == 1 {
					time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
				}
			}
			started := time.Now()
			m, err := e.Inject(ctx, l)
			require.ErrorIs(t, err, why)
			require.EqualError(t, err, "injection with 1 VUs cut short: enough")
			require.Less(t, time.Since(started), 5*time.Second)
			require.Equal(t, 2, edges)
			require.Equal(t, completed, m.Completed)
			require.InDelta(t, 20*time.Millisecond, m.Window, float64(500*time.Millisecond))
			require.Empty(t, e.running)
		})
	}
}

func TestCanceledBefore(t *testing.T) {
	e := fake(t, "until interrupted", nobody)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := load(1)
	l.OnEdge = func() { t.Error("no window, no edge") }
	m, err := e.Inject(ctx, l)
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, m.Window)
	require.Zero(t, m.Quantile(0.5))
}

func TestOutputKeepsTheEnd(t *testing.T) {
	o := newOutput("token")
	for range 100 {
		_, err := o.Write([]byte("early\nand lo"))
		require.NoError(t, err)
		o.Write([]byte("ng\n"))
	}
	o.Write([]byte(strings.Repeat("x", 3*outputWidth) + "\nlast"))
	lines := strings.Split(o.String(), "\n")
	require.Len(t, lines, outputLines+1)
	require.Equal(t, "and long", lines[0][:8])
	require.Equal(t, "last", lines[outputLines])
	require.Len(t, lines[outputLines-1], outputWidth)
}
