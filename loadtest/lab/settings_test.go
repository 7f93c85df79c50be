package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"rampart/loadtest"
)

// env makes a getenv of "NAME=value" strings.
func env(vars ...string) func(string) string {
	m := make(map[string]string)
	for _, v := range vars {
		name, value, _ := strings.Cut(v, "=")
		m[name] = value
	}
	return func(name string) string { return m[name] }
}

func TestSettingsDefaults(t *testing.T) {
	s, err := SettingsFromEnv(env())
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(Settings{
		Iterations:     60000,
		Duration:       30 * time.Second,
		Warmup:         2 * time.Second,
		VUs:            []int{1, 2, 4, 8, 16, 32},
		MaxVUs:         4096,
		Stop:           loadtest.RuleConfident,
		RequestTimeout: time.Minute,
		KeepAlive:      true,
		Method:         http.MethodGet,
		HTTP2:          true,
		Engine:         EngineBuiltin,
		Results:        "results",
		Output:         OutputText,
	}, s))
}

func TestSettings(t *testing.T) {
	s, err := SettingsFromEnv(env("ITERATIONS=80000", "DURATION=1m30s", "WARMUP=0s", "VUS=1, 3,100", "MAX_VUS=64",
		"REQUEST_TIMEOUT=500ms", "KEEPALIVE=off", "RESULTS=/tmp/x", "SERVER=example.org", "STOP=classic", "ENGINE=k6",
		"INSECURE=1", "HTTP2=off", "HEADERS=accept: text/html\nX-Token: secret\n", "BODY=a=b", "OUTPUT=json"))
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(Settings{
		Server:         &url.URL{Scheme: "http", Host: "example.org", Path: "/", RawQuery: "it1=80000&it2=1"},
		Iterations:     80000,
		Duration:       90 * time.Second,
		VUs:            []int{1, 3, 100},
		MaxVUs:         64,
		Stop:           loadtest.RuleClassic,
		RequestTimeout: 500 * time.Millisecond,
		Method:         http.MethodPost,
		Header:         http.Header{"Accept": {"text/html"}, "X-Token": {"secret"}},
		Body:           []byte("a=b"),
		Insecure:       true,
		Engine:         EngineK6,
		Results:        "/tmp/x",
		Output:         OutputJSON,
	}, s))
	shown := fmt.Sprint(s.List())
	require.Contains(t, shown, "{HEADERS Accept, X-Token}")
	require.Contains(t, shown, "{BODY 3 bytes}")
	require.NotContains(t, shown, "secret")
}

func TestStartAt(t *testing.T) {
	for in, want := range map[string]time.Time{
		"1764000000.250":       time.Unix(1764000000, 250_000_000),
		"1764000000":           time.Unix(1764000000, 0),
		"1764000000.000000001": time.Unix(1764000000, 1), // which a floating-point number would lose
	} {
		s, err := SettingsFromEnv(env("START_AT="+in, "VUS=8"))
		require.NoError(t, err)
		require.True(t, want.Equal(s.StartAt), in)
		require.True(t, want.Equal(s.ExperimentWithoutTarget().Start), in)
	}
	s, err := SettingsFromEnv(env("START_AT=1764000000.250", "VUS=8"))
	require.NoError(t, err)
	require.Contains(t, fmt.Sprint(s.List()), "{START_AT 1764000000.250000000}")
	_, err = SettingsFromEnv(env("START_AT=1764000000", "VUS=8", "ENGINE=k6"))
	require.ErrorContains(t, err, "with ENGINE=k6: want ENGINE=builtin")
}

// TestTLSSettings holds that https of a contender, or of SERVER, is what certificates need.
func TestTLSSettings(t *testing.T) {
	for _, vars := range [][]string{
		{"SERVER=https://localhost"}, {"BASELINE=https://a:1", "CANDIDATE=b:1"}, {"BASELINE=a:1", "CANDIDATE=HTTPS://b:1"},
	} {
		s, err := SettingsFromEnv(env(append(vars, "SERVER_NAME=app.example")...))
		require.NoError(t, err)
		require.Contains(t, fmt.Sprint(s.List()), "{SERVER_NAME app.example}")
		require.Equal(t, "app.example", s.HTTP(&url.URL{Scheme: "https", Host: "h"}).ServerName)
	}
}

// TestTargetsSettings holds what files of requests go with, and what they do not.
func TestTargetsSettings(t *testing.T) {
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "targets.txt")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	paths, whole := file("GET /a\nX: topsecret\n\nPOST /b\n"), file("GET http://h:81/a\n")
	weighed := file("GET /\n# weight: 2\n")
	s, err := SettingsFromEnv(env("TARGETS="+paths, "FIRST="+paths, "COOKIES=on", "SERVER=H:81/"))
	require.NoError(t, err)
	c := s.HTTP(s.Server)
	require.Len(t, c.Requests, 2)
	require.Len(t, c.First, 2)
	require.True(t, c.Cookies)
	shown := fmt.Sprint(s.List())
	require.Contains(t, shown, "{TARGETS "+paths+", 2 requests} {FIRST "+paths+", 2 requests} {COOKIES on}")
	require.NotContains(t, shown, "topsecret")
	for _, vars := range [][]string{
		{"TARGETS=" + paths}, {"TARGETS=" + whole, "SERVER=h:81"}, {"FIRST=" + whole, "SERVER=http://H:81/x?y=z"},
		{"FIRST=" + paths, "METHOD=PUT", "BODY=x", "ITERATIONS=3"}, {"TARGETS=" + whole, "BASELINE=a:1", "CANDIDATE=b:1"},
		{"TARGETS=" + weighed},
	} {
		_, err := SettingsFromEnv(env(vars...))
		require.NoError(t, err, vars)
	}
	s, err = SettingsFromEnv(env("TARGETS="+whole, "BASELINE=a:1", "CANDIDATE=b:1"))
	require.NoError(t, err)
	require.Equal(t, whole+", without the http://h:81 there", s.HTTP(s.Workload("h")).Source)
	headless, sized := file("GET /\nX-A topsecret\n"), file("GET /\nContent-Length: 1\n")
	for want, vars := range map[string][]string{
		"TARGETS with METHOD: want what is asked in the file alone":              {"TARGETS=" + paths, "METHOD=PUT"},
		"TARGETS with BODY: want":                                                {"TARGETS=" + paths, "BODY=x"},
		"TARGETS with ITERATIONS: want":                                          {"TARGETS=" + paths, "ITERATIONS=3"},
		"TARGETS with a path or query in SERVER: want":                           {"TARGETS=" + paths, "SERVER=h/x"},
		"targets.txt:1: http://h:81: want it in SERVER, too, or paths alone":     {"TARGETS=" + whole},
		"targets.txt:1: http://h:81 is not what SERVER says: want the same":      {"TARGETS=" + whole, "SERVER=h"},
		"http://h:81 is not what SERVER says: want":                              {"FIRST=" + whole, "SERVER=https://h:81"},
		"FIRST: " + weighed + ":2: weight: want none, because each":              {"FIRST=" + weighed},
		"ENGINE=k6 with TARGETS, FIRST or COOKIES: want ENGINE=builtin, because": {"COOKIES=on", "ENGINE=k6"},
		"targets.txt:2: header line has no colon":                                {"TARGETS=" + headless},
		"targets.txt:1: header Content-Length cannot be set":                     {"TARGETS=" + sized},
	} {
		_, err := SettingsFromEnv(env(vars...))
		require.ErrorContains(t, err, want, vars)
		require.NotContains(t, err.Error(), "topsecret")
	}
}

// TestUnusedInDuel holds that no variable is passed over in silence by a duel.
func TestUnusedInDuel(t *testing.T) {
	require.Empty(t, UnusedInDuel(env("METHOD=PUT", "BASELINE=a:1", "REQUEST_TIMEOUT=1s")))
	require.Equal(t,
		"DURATION, VUS: set, and of no use in a duel, which chooses its load itself; perfgate run has flags for it",
		UnusedInDuel(env("VUS=8", "DURATION=1s", "WARMUP=")))
	used := []string{"BASELINE", "BODY", "CACERT", "CANDIDATE", "CERT", "COOKIES", "EXPECT", "FIRST", "HEADERS", "HTTP2",
		"INSECURE",
		"ITERATIONS", "KEEPALIVE", "KEY", "METHOD", "REQUEST_TIMEOUT", "RESULTS", "SERVER", "SERVER_NAME", "SLO",
		"TARGETS", "WARMUP"}
	refused := []string{"ENGINE", "START_AT"}
	require.ElementsMatch(t, variables, slices.Concat(duelIgnores, used, refused))
}

func TestBodyFromFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "body")
	require.NoError(t, os.WriteFile(path, []byte{0, 1, 2}, 0o666))
	s, err := SettingsFromEnv(env("BODY=@"+path, "METHOD=PUT"))
	require.NoError(t, err)
	require.Equal(t, []byte{0, 1, 2}, s.Body)
	require.Equal(t, http.MethodPut, s.Method)
	_, err = SettingsFromEnv(env("BODY=@" + path + ".not"))
	require.ErrorContains(t, err, "want a text, or @FILE with the name of a file of at most 256 MB")
	_, err = SettingsFromEnv(env("BODY=@/dev/zero"))
	require.ErrorContains(t, err, "want a text, or @FILE")
}

func TestUnixSockets(t *testing.T) {
	for in, want := range map[string][2]string{
		"unix:/run/app.sock":           {"/run/app.sock", "http://localhost/?it1=7&it2=1"},
		"unix:///run/app.sock":         {"/run/app.sock", "http://localhost/?it1=7&it2=1"},
		"unix:app.sock:/":              {"app.sock", "http://localhost/"},
		"unix:/run/app.sock:/a/b?c=d:": {"/run/app.sock", "http://localhost/a/b?c=d:"},
	} {
		s, err := SettingsFromEnv(env("SERVER="+in, "ITERATIONS=7"))
		require.NoError(t, err, in)
		require.Equal(t, want, [2]string{s.Socket, s.Server.String()}, in)
	}
}

func TestWarmupFollowsDuration(t *testing.T) {
	for duration, want := range map[string]time.Duration{
		"1s": 100 * time.Millisecond, "10s": time.Second, "20s": 2 * time.Second, "1h": 2 * time.Second,
	} {
		s, err := SettingsFromEnv(env("DURATION=" + duration))
		require.NoError(t, err)
		require.Equal(t, want, s.Warmup, duration)
	}
}

func TestServerURL(t *testing.T) {
	for in, want := range map[string]string{
		"localhost":                      "http://localhost/?it1=7&it2=1",
		"localhost:8080":                 "http://localhost:8080/?it1=7&it2=1",
		"10.0.0.1":                       "http://10.0.0.1/?it1=7&it2=1",
		"[::1]:8080":                     "http://[::1]:8080/?it1=7&it2=1",
		"http://localhost":               "http://localhost/?it1=7&it2=1",
		"HTTPS://example.org":            "https://example.org/?it1=7&it2=1",
		"localhost:8080/":                "http://localhost:8080/",
		"http://localhost/":              "http://localhost/",
		"http://localhost/a/b?c=d":       "http://localhost/a/b?c=d",
		"http://localhost?c=d":           "http://localhost?c=d",
		"localhost/x":                    "http://localhost/x",
		"http://user:secret@localhost":   "http://user:secret@localhost/?it1=7&it2=1",
		"http://localhost:65535/%20?%20": "http://localhost:65535/%20?%20",
		"localhost:80/":                  "http://localhost/",
		"localhost:8080/x#part":          "http://localhost:8080/x",
		"localhost:1/p?u=http://x":       "http://localhost:1/p?u=http://x",
	} {
		s, err := SettingsFromEnv(env("SERVER="+in, "ITERATIONS=7"))
		require.NoError(t, err, in)
		require.Equal(t, want, s.Server.String(), in)
	}
}

// TestWarmupOfDuels holds that a duel takes the warm-up that somebody says, and not that of ramps.
func TestWarmupOfDuels(t *testing.T) {
	for set, want := range map[string][2]time.Duration{
		"DURATION=1s":  {100 * time.Millisecond, 0},
		"WARMUP=700ms": {700 * time.Millisecond, 700 * time.Millisecond},
		"WARMUP=0s":    {},
	} {
		s, err := SettingsFromEnv(env(set))
		require.NoError(t, err)
		require.Equal(t, want, [2]time.Duration{s.Warmup, s.DuelWarmup}, set)
	}
}

func TestSettingsRefuse(t *testing.T) {
	for _, tt := range []struct{ set, want string }{
		{"DURATION=5", `DURATION="5": want a duration with a unit`},
		{"DURATION=-5s", `DURATION="-5s": want a duration`},
		{"DURATION=0s", `DURATION="0s": want a duration of at least 1ms`},
		{"DURATION=25h", `DURATION="25h": want a duration with a unit, up to 24h`},
		{"DURATION=thirty", `DURATION="thirty": want a duration`},
		{"WARMUP=1", `WARMUP="1": want a duration`},
		{"ITERATIONS=-1", `ITERATIONS="-1": want a whole number`},
		{"ITERATIONS=1e5", `ITERATIONS="1e5": want a whole number`},
		{"ITERATIONS=99999999999999999999", `want a whole number`},
		{"VUS=1,x", `VUS="1,x": want different numbers`},
		{"VUS=1,,2", `VUS="1,,2": want different numbers`},
		{"VUS=0", `VUS="0": want different numbers`},
		{"VUS=1,1", `VUS="1,1": want different numbers`},
		{"MAX_VUS=0", `MAX_VUS="0": want a whole number of virtual users from 1 to`},
		{"MAX_VUS=+5", `MAX_VUS="+5": want a whole number`},
		{"REQUEST_TIMEOUT=0", `REQUEST_TIMEOUT="0": want a duration of at least 1ms`},
		{"KEEPALIVE=maybe", `KEEPALIVE="maybe": want on or off`},
		{"OUTPUT=JSON", `OUTPUT="JSON": want text or json`},
		{"START_AT=now", `START_AT="now": want Unix seconds, such as`},
		{"START_AT=1.", `START_AT="1.": want Unix seconds`},
		{"START_AT=.5", `START_AT=".5": want Unix seconds`},
		{"START_AT=1.-5", `START_AT="1.-5": want Unix seconds`},
		{"START_AT=1e9", `START_AT="1e9": want Unix seconds`},
		{"START_AT=-1", `START_AT="-1": want Unix seconds`},
		{"START_AT=1.0000000001", `want Unix seconds`},
		{"START_AT=1764000000250", `want Unix seconds`},
		{"START_AT=8000000000", `want Unix seconds at most 1h0m0s ahead, and this is`},
		{"START_AT=1", `START_AT="1" with 6 levels in VUS: want one number of virtual users there`},
		{"STOP=never", `STOP="never": want classic`},
		{"ENGINE=ab", `ENGINE="ab": want builtin or k6`},
		{"EXPECT=status=foo", `EXPECT="status=foo": "status=foo": "foo" is no status; want such as status=2xx,304`},
		{"EXPECT=body~[", `EXPECT="body~[": "body~[": error parsing regexp`},
		{"EXPECT=2xx", `EXPECT="2xx": "2xx": want status=2xx,304 or body~REGEXP`},
		{"METHOD=get", `METHOD="get": want one of GET, HEAD`},
		{"METHOD=CONNECT", `METHOD="CONNECT": want one of GET, HEAD`},
		{"HEADERS=no colon", `HEADERS: line 1 has no colon: want lines of the form Name: value`},
		{"HEADERS=a b: c", `HEADERS: line 1 has no name before its colon`},
		{"HEADERS=A: b\nc", `HEADERS: line 2 has no colon`},
		{"HEADERS=A: b\n c: d", `HEADERS: line 2 begins with a blank`},
		{"HEADERS=A: b\x01", `HEADERS: line 1 holds a control character`},
		{"HEADERS=Content-Length: 5", `header Content-Length cannot be set`},
		{"CERT=/nonexistent", "CERT: want a file with the certificate of the client, in PEM: no such file"},
		{"KEY=/nonexistent", "KEY without CERT: want the file with the certificate there"},
		{"CACERT=/dev/null", "CACERT: want a file with the certificates of authorities, in PEM: it is no file"},
		{"SERVER_NAME=app.example", "CERT, KEY, CACERT or SERVER_NAME without TLS: want https:// in SERVER"},
		{"SERVER_NAME=a/b SERVER=https://localhost",
			"SERVER_NAME, TARGETS or FIRST: name of the server for TLS: the host holds a character"},
		{"HEADERS=@/nonexistent", "HEADERS: want lines of the form Name: value, or @FILE"},
		{"COOKIES=maybe", `COOKIES="maybe": want on or off`},
		{"TARGETS=/nonexistent", `TARGETS="/nonexistent": /nonexistent: no such file`},
		{"FIRST=/nonexistent", `FIRST="/nonexistent": /nonexistent: no such file`},
		{"INSECURE=maybe", `INSECURE="maybe": want on or off`},
		{"HTTP2=3", `HTTP2="3": want on or off`},
		{"SERVER=unix:", `SERVER="unix:": the path of the socket is missing; want host`},
		{"SERVER=http://", `SERVER="http://": the host is missing; want host, host:port, a URL`},
		{"SERVER=ftp://localhost", `SERVER="ftp://localhost": the scheme is neither http nor https; want host`},
		{"SERVER=http://localhost:x", `SERVER="http://localhost:xxxxx": the port is no number from 1 to 65535; want host`},
		{"SERVER=localhost:99999", `SERVER="localhost:99999": the port is no number from 1 to 65535; want host`},
		{"SERVER=http://a b/", `SERVER="http://a b/": the host holds a character that no host has; want host`},
		{"SERVER=unix:/s BASELINE=a:1 CANDIDATE=b:1",
			`SERVER="unix:/s" with BASELINE or CANDIDATE: both sides' load would go to that socket`},
		{"WARMUP=0s BASELINE=a:1 CANDIDATE=b:1", `WARMUP="0s" with BASELINE or CANDIDATE: want more than 0, such as 1s`},
		{"ENGINE=k6 BASELINE=a:1 CANDIDATE=b:1", "ENGINE=k6 with BASELINE or CANDIDATE: want ENGINE=builtin"},
		{"SERVER=:8080", `SERVER=":8080": the host is missing; want host`},
		{"SERVER=http://me:12/34@h/", `SERVER="http://xxxxx@h/": it can be read in two ways: write %2F`},
	} {
		_, err := SettingsFromEnv(env(tt.set))
		if strings.Contains(tt.set, "BASELINE=") || strings.HasPrefix(tt.set, "SERVER_NAME") {
			_, err = SettingsFromEnv(env(strings.Fields(tt.set)...))
		}
		require.ErrorContains(t, err, tt.want, tt.set)
	}
}

func TestExpectIsASetting(t *testing.T) {
	s, err := SettingsFromEnv(env("EXPECT=status=2xx, 3xx\nbody~^order [0-9]+"))
	require.NoError(t, err)
	require.Contains(t, fmt.Sprint(s.List()), "{EXPECT status=2xx,3xx; body~^order [0-9]+}")
	require.True(t, s.HTTP(s.Workload("localhost")).Expect.Equal(s.Expect))
	_, err = SettingsFromEnv(env("EXPECT=body~x", "METHOD=HEAD"))
	require.ErrorContains(t, err,
		"METHOD, HEADERS, BODY, EXPECT, SERVER_NAME, TARGETS or FIRST: an expected body, and a request with HEAD")
	_, err = SettingsFromEnv(env("EXPECT=status=3xx", "ENGINE=k6"))
	require.ErrorContains(t, err, `EXPECT="status=3xx" with ENGINE=k6: want ENGINE=builtin`)
}

func TestSettingsNameEveryError(t *testing.T) {
	_, err := SettingsFromEnv(env("DURATION=5", "VUS=x"))
	require.ErrorContains(t, err, "DURATION")
	require.ErrorContains(t, err, "VUS")
}

func TestSettingsHidePasswords(t *testing.T) {
	for _, server := range []string{
		"ftp://user:secret@localhost", "http://user:secret@", "http://user:se@cret@host:x", "user:secret@host:x",
		"http://user:secret@host:99999/", "http://user:sec\x01ret@host/",
	} {
		_, err := SettingsFromEnv(env("SERVER=" + server))
		require.Error(t, err, server)
		require.NotContains(t, err.Error(), "ret@", server)
		require.NotContains(t, err.Error(), "user", server)
	}
	s, err := SettingsFromEnv(env("SERVER=http://user:secret@localhost"))
	require.NoError(t, err)
	for _, setting := range s.List() {
		require.NotContains(t, setting.Value, "secret")
	}
}

// FuzzSettings feeds every variable's parser.
func FuzzSettings(f *testing.F) {
	names := []string{"SERVER", "ITERATIONS", "DURATION", "WARMUP", "VUS", "MAX_VUS", "REQUEST_TIMEOUT", "KEEPALIVE",
		"RESULTS", "STOP", "ENGINE", "METHOD", "HEADERS", "BODY", "INSECURE", "HTTP2", "OUTPUT", "START_AT",
		"CERT", "KEY", "CACERT", "SERVER_NAME", "COOKIES", "EXPECT"}
	for i := range names {
		for _, value := range []string{"", "1", "30s", "1,2", "on", "http://user:pw@[::1]:80/a?b#c", "-1", "@", "://@",
			"unix:/a:/b", "A: b\nHost: c", "POST", "k6", "status=2xx,304", "body~["} {
			f.Add(i, value)
		}
	}
	f.Fuzz(func(t *testing.T, i int, value string) {
		name := names[uint(i)%uint(len(names))]
		s, err := SettingsFromEnv(env(name + "=" + value))
		if err != nil {
			require.Contains(t, err.Error(), name)
			require.Contains(t, err.Error(), "want")
			return
		}
		require.Positive(t, s.Duration)
		require.GreaterOrEqual(t, s.Warmup, time.Duration(0))
		require.Positive(t, s.RequestTimeout)
		require.Positive(t, s.MaxVUs)
		require.NotEmpty(t, s.VUs)
		require.NotEmpty(t, s.Results)
		if name == "SERVER" && value != "" {
			require.NotEmpty(t, s.Server.Hostname())
			require.Contains(t, []string{"http", "https"}, s.Server.Scheme)
		}
	})
}

func TestSettingsExperiment(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RequestURI() != "/?it1=7&it2=1" {
			http.Error(w, "it1: want 7", http.StatusBadRequest)
		}
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")

	s, err := SettingsFromEnv(env("SERVER=user:secret@"+address, "ITERATIONS=7", "DURATION=100ms"))
	require.NoError(t, err)
	e, err := s.Experiment(t.Context(), nil)
	require.NoError(t, err)
	level, err := e.Level(t.Context(), 2)
	require.NoError(t, err)
	require.Zero(t, level.Failures.Total())
	require.Positive(t, level.Requests)
	require.Equal(t, 100*time.Millisecond, level.Window)
	require.NotNil(t, level.ClientCPU)
	require.Nil(t, level.ServerCPU)
	require.Contains(t, level.NoServerCPU, "no process_cpu_seconds_total")
	if runtime.GOOS == "linux" {
		require.Contains(t, level.NoServerCPU, "this process itself serves")
	}
	require.Equal(t, "http://"+address+"/?it1=7&it2=1", s.Workload(address).String())

	s, err = SettingsFromEnv(env("SERVER=user:secret@"+address, "ITERATIONS=8"))
	require.NoError(t, err)
	_, err = s.Experiment(t.Context(), nil)
	require.EqualError(t, err, `http://`+address+`/?it1=8&it2=1 does not serve: status: the server answered 400, not `+
		`2xx: "it1: want 7"; start it there, or set SERVER to one that answers 2xx`)
}

// TestInterruptInTheFirstRequest holds that Ctrl-C before there is an answer says nothing of the
// server, whose handshake hangs, or whose answer does.
func TestInterruptInTheFirstRequest(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close() // it never accepts
	errPressed := errors.New("somebody pressed Ctrl-C")
	for _, scheme := range []string{"http://", "https://"} {
		t.Run(scheme, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer time.AfterFunc(50*time.Millisecond, func() { cancel(errPressed) }).Stop()
			s, err := SettingsFromEnv(env("SERVER=" + scheme + l.Addr().String()))
			require.NoError(t, err)
			begun := time.Now()
			_, err = s.Experiment(ctx, nil)
			require.ErrorIs(t, err, errPressed)
			require.NotContains(t, err.Error(), "TLS")
			require.NotContains(t, err.Error(), "serve")
			require.Less(t, time.Since(begun), 10*time.Second)
		})
	}
}

func TestObjectivesAndRules(t *testing.T) {
	s, err := SettingsFromEnv(env("SLO=p99<50ms, failed<0.1%", "STOP=confident"))
	require.NoError(t, err)
	require.Equal(t, loadtest.RuleConfident, s.RampWithoutTarget().Rule)
	require.Equal(t, "p99<50ms,failed<0.1%", s.RampWithoutTarget().SLO.String())
	require.Contains(t, fmt.Sprint(s.List()), "{STOP confident}")
	require.Contains(t, fmt.Sprint(s.List()), "{SLO p99<50ms,failed<0.1%}")
	s, err = SettingsFromEnv(env("ENGINE=k6"))
	require.NoError(t, err)
	require.Equal(t, loadtest.RuleClassic, s.Stop, "k6 knows no other")
	s, err = SettingsFromEnv(env("RAMP=ramp.json", "MERGE=a.json"))
	require.NoError(t, err)
	require.Equal(t, loadtest.RuleClassic, s.Stop, "nor do several clients")
	s, err = SettingsFromEnv(env("START_AT=1764000000", "VUS=1"))
	require.NoError(t, err)
	require.Equal(t, loadtest.RuleClassic, s.Stop)
	for want, vars := range map[string][]string{
		`SLO="p99<50": "50": want a duration with a unit`:  {"SLO=p99<50"},
		`SLO="fast": "fast": want objectives with commas`:  {"SLO=fast"},
		"STOP=confident: want STOP=classic with ENGINE=k6": {"STOP=confident", "ENGINE=k6"},
		"STOP=confident: want STOP=classic with RAMP":      {"STOP=confident", "RAMP=ramp.json", "MERGE=a.json"},
		"STOP=confident: want STOP=classic with START_AT":  {"STOP=confident", "START_AT=1764000000", "VUS=1"},
	} {
		_, err := SettingsFromEnv(env(vars...))
		require.ErrorContains(t, err, want)
	}
}

// TestSettingsErrorsInOrder: of two wrong contenders, sometimes the one was named first and
// sometimes the other.
func TestSettingsErrorsInOrder(t *testing.T) {
	for range 50 {
		_, err := SettingsFromEnv(env("BASELINE=x", "CANDIDATE=y"))
		require.Regexp(t, `(?s)^BASELINE.*\nCANDIDATE`, err.Error())
	}
}
