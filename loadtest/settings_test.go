//go:build !load

package loadtest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
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
		"REQUEST_TIMEOUT=500ms", "KEEPALIVE=off", "RESULTS=/tmp/x", "SERVER=example.org", "STOP=classic", "ENGINE=k6", "INSECURE=1",
		"HTTP2=off", "HEADERS=accept: text/html\nX-Token: secret\n", "BODY=a=b", "OUTPUT=json"))
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(Settings{
		Server:         &url.URL{Scheme: "http", Host: "example.org", Path: "/", RawQuery: "it1=80000&it2=1"},
		Iterations:     80000,
		Duration:       90 * time.Second,
		VUs:            []int{1, 3, 100},
		MaxVUs:         64,
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
		require.True(t, want.Equal(s.durations().Start), in)
	}
	s, err := SettingsFromEnv(env("START_AT=1764000000.250", "VUS=8"))
	require.NoError(t, err)
	require.Contains(t, fmt.Sprint(s.List()), "{START_AT 1764000000.250000000}")
	_, err = SettingsFromEnv(env("START_AT=1764000000", "VUS=8", "ENGINE=k6"))
	require.ErrorContains(t, err, "with ENGINE=k6: want ENGINE=builtin")
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
	} {
		s, err := SettingsFromEnv(env("SERVER="+in, "ITERATIONS=7"))
		require.NoError(t, err, in)
		require.Equal(t, want, s.Server.String(), in)
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
		{"METHOD=get", `METHOD="get": want one of GET, HEAD`},
		{"METHOD=CONNECT", `METHOD="CONNECT": want one of GET, HEAD`},
		{"HEADERS=no colon", `HEADERS="no colon": want lines of the form Name: value`},
		{"HEADERS=a b: c", `HTTP cannot carry this method, URL or these headers`},
		{"HEADERS=Content-Length: 5", `header Content-Length cannot be set`},
		{"INSECURE=maybe", `INSECURE="maybe": want on or off`},
		{"HTTP2=3", `HTTP2="3": want on or off`},
		{"SERVER=unix:", `SERVER="unix:": want host`},
		{"SERVER=http://", `SERVER="http://": want host, host:port, a URL`},
		{"SERVER=ftp://localhost", `SERVER="ftp://localhost": want host`},
		{"SERVER=http://localhost:x", `SERVER="http://localhost:x": want host`},
		{"SERVER=localhost:99999", `SERVER="localhost:99999": port 99999: want 1 to 65535`},
		{"SERVER=http://a b/", `SERVER="http://a b/": want host`},
		{"SERVER=:8080", `SERVER=":8080": want host`},
	} {
		_, err := SettingsFromEnv(env(tt.set))
		require.ErrorContains(t, err, tt.want, tt.set)
	}
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
		"RESULTS", "STOP", "ENGINE", "METHOD", "HEADERS", "BODY", "INSECURE", "HTTP2", "OUTPUT", "START_AT"}
	for i := range names {
		for _, value := range []string{"", "1", "30s", "1,2", "on", "http://user:pw@[::1]:80/a?b#c", "-1", "@", "://@",
			"unix:/a:/b", "A: b\nHost: c", "POST", "k6"} {
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
	require.Equal(t, runtime.GOOS == "linux", level.ServerCPU != nil)
	require.Equal(t, "http://"+address+"/?it1=7&it2=1", s.Workload(address).String())

	s, err = SettingsFromEnv(env("SERVER=user:secret@"+address, "ITERATIONS=8"))
	require.NoError(t, err)
	_, err = s.Experiment(t.Context(), nil)
	require.EqualError(t, err, `http://`+address+`/?it1=8&it2=1 does not serve: status: the server answered 400, not 2xx: `+
		`"it1: want 7"; start it there, or set SERVER to one that answers 2xx`)
}
