//go:build !load

package loadtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"rampart/loadtest/result"
)

// client builds the experiments as the program that they are in the client image, once for all
// tests.
var client = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rampart-client-")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "test", "-c", "-tags=load", "-o", filepath.Join(dir, "client"),
		"rampart/loadtest").CombinedOutput()
	if err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestMain(m *testing.M) {
	if command := os.Getenv(orphanEnv); command != "" {
		server, err := StartServer(context.Background(), "sh", "-c", "echo listening on 127.0.0.1:1 >&2; exec "+command)
		must(err)
		fmt.Println(server.process.PID())
		must(syscall.Kill(os.Getpid(), syscall.SIGKILL))
	}
	if flaw := os.Getenv(contenderEnv); flaw != "" {
		serveAsContender(flaw)
	}
	if url := os.Getenv(injectEnv); url != "" {
		injectAndPrintDoubts(url)
		return
	}
	// With -race, processes sleep for a second before they end, in case a race is about to be
	// reported.
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	code := m.Run()
	if dir, _ := client(); dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// fakes are servers that the scripts load, by the variable that holds their address. Each request
// takes 5 ms, so that throughput doubles with the number of VUs whatever the machine is doing.
func fakes(cleanup func(func())) map[string]string {
	var served atomic.Int64
	serve := func(f http.HandlerFunc) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(5 * time.Millisecond)
			f(w, r)
		}))
		cleanup(server.Close)
		return server.Listener.Addr().String()
	}
	socket := httptest.NewUnstartedServer(
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(5 * time.Millisecond) }))
	dir, err := os.MkdirTemp("", "rampart-socket-")
	must(err)
	cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "socket")
	l, err := net.Listen("unix", path)
	must(err)
	socket.Listener.Close()
	socket.Listener = l
	socket.Start()
	cleanup(socket.Close)
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(5 * time.Millisecond)
		if r.ProtoMajor != 2 {
			http.Error(w, "want HTTP/2", http.StatusHTTPVersionNotSupported)
		}
	}))
	secure.EnableHTTP2 = true
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that fail on purpose
	secure.StartTLS()
	cleanup(secure.Close)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	return map[string]string{
		"GOOD": serve(func(w http.ResponseWriter, r *http.Request) {}),
		"BROKEN": serve(func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "out of order", http.StatusInternalServerError)
		}),
		"TIRED": serve(func(w http.ResponseWriter, r *http.Request) {
			if served.Add(1) > 20 {
				http.Error(w, "tired", http.StatusServiceUnavailable)
			}
		}),
		"ORDERS": serve(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil || r.Method != http.MethodPost || string(body) != "a=b" || r.Header.Get("X-Token") != "topsecret" {
				http.Error(w, "want POST of a=b with the token", http.StatusBadRequest)
			}
		}),
		"SHOP": serve(func(w http.ResponseWriter, r *http.Request) {
			name, err := r.Cookie("name")
			switch {
			case r.URL.Path == "/login" && r.Method == http.MethodPost && r.Header.Get("X-Key") == "topsecret":
				http.SetCookie(w, &http.Cookie{Name: "name", Value: r.URL.Query().Get("name"), Path: "/"})
			case err != nil || !strings.HasPrefix(name.Value, "vu"):
				http.Error(w, "log in", http.StatusUnauthorized)
			case strings.HasPrefix(r.URL.Path, "/orders/") && r.URL.Path != "/orders/"+name.Value:
				http.Error(w, "not yours", http.StatusForbidden)
			}
		}),
		"SOCKET": path,
		"SECURE": secure.Listener.Addr().String(),
		"CLOSED": closed.Listener.Addr().String(),
	}
}

func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: the client is another process, compiled without the race detector")
	}
	dir, err := client()
	require.NoError(t, err)
	fixtures, err := filepath.Abs(filepath.Join("..", "testdata", "pkb"))
	require.NoError(t, err)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("..", "testdata", "client"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", dir+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("CLIENT", dir)
			e.Setenv("FIXTURES", fixtures)
			e.Setenv("CI", "true") // no progress on the terminal of whoever runs the tests
			for name, address := range fakes(e.Defer) {
				e.Setenv(name, address)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// nowhere TEXT: no file below the working directory holds the text.
			"nowhere": func(ts *testscript.TestScript, neg bool, args []string) {
				err := filepath.WalkDir(ts.MkAbs("."), func(path string, d fs.DirEntry, err error) error {
					if err != nil || !d.Type().IsRegular() {
						return err
					}
					b, err := os.ReadFile(path)
					if err == nil && bytes.Contains(b, []byte(args[0])) {
						err = fmt.Errorf("%s holds %q", path, args[0])
					}
					return err
				})
				ts.Check(err)
			},
		},
		RequireExplicitExec: true,
	})
}

// TestResultsAreNotCached asks the go command twice for the same, which has to measure twice.
func TestResultsAreNotCached(t *testing.T) {
	server := fakes(t.Cleanup)["GOOD"]
	results := t.TempDir()
	for n := 1; n <= 2; n++ {
		cmd := exec.Command("go", "test", "-tags=load", "-run", "TestRamp", "rampart/loadtest")
		cmd.Env = append(os.Environ(), "SERVER="+server, "DURATION=100ms", "MAX_VUS=1", "RESULTS="+results, "CI=true")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.NotContains(t, string(out), "(cached)")
		require.Len(t, names(t, results), n+1, "a folder for each, and the link")
	}
}

// interrupted runs the client in a folder until what it does next calls for the interrupt, and
// returns its outputs.
func interrupted(t *testing.T, dir string, next func(out string) bool, vars ...string) (stdout, stderr string) {
	t.Helper()
	program, err := client()
	require.NoError(t, err)
	cmd := exec.Command(filepath.Join(program, "client"), "-test.run", "TestRamp")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "SERVER="+fakes(t.Cleanup)["GOOD"], "DURATION=500ms", "WARMUP=0s", "CI=true")
	cmd.Env = append(cmd.Env, vars...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	pipe, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	interrupt := sync.OnceFunc(func() { require.NoError(t, cmd.Process.Signal(syscall.SIGINT)) })
	var out strings.Builder
	if next("") {
		interrupt()
	}
	for buf := make([]byte, 1024); ; {
		n, err := pipe.Read(buf)
		out.Write(buf[:n])
		if err != nil {
			break
		}
		if next(string(buf[:n])) {
			interrupt()
		}
	}
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, 130, exit.ExitCode(), "%s%s", out.String(), errs.String())
	return out.String(), errs.String()
}

// TestInterrupt sends what Ctrl-C sends, in the third level.
func TestInterrupt(t *testing.T) {
	dir := t.TempDir()
	stdout, stderr := interrupted(t, dir, func(out string) bool {
		if !strings.Contains(out, "with 2 vus") {
			return false
		}
		time.Sleep(100 * time.Millisecond) // into the third level
		return true
	}, "STOP=classic")
	require.Regexp(t, `stop reason: canceled \(in the level of 4 vus: .*interrupt`, stderr)
	require.Regexp(t, `(?s)^(Injecting [^\n]*\n){3}--- FAIL.*FAIL\n\nvus,rps,resp_time,req_failed\n1,[^\n]*\n2,[^\n]*\n$`,
		stdout)

	csv, err := os.ReadFile(filepath.Join(dir, "results", "latest", "ramp.csv"))
	require.NoError(t, err)
	require.Equal(t, 3, bytes.Count(csv, []byte("\n")), "%s", csv)
	doc, err := os.ReadFile(filepath.Join(dir, "results", "latest", "result.json"))
	require.NoError(t, err)
	require.Contains(t, string(doc), `"partial": true`)
	require.Contains(t, string(doc), `"reason": "canceled"`)
}

// TestInterruptInARound sends it in the rounds of a confident ramp, which tells its levels then.
func TestInterruptInARound(t *testing.T) {
	dir := t.TempDir()
	stdout, stderr := interrupted(t, dir, func(out string) bool {
		if out != "" {
			return false
		}
		require.Eventually(t, func() bool { // the folder is made right before the first round
			_, err := os.Lstat(filepath.Join(dir, "results", "latest"))
			return err == nil
		}, 20*time.Second, time.Millisecond)
		time.Sleep(300 * time.Millisecond) // enough for some of its windows, of 20 ms
		return true
	})
	require.Regexp(t, `stop reason: canceled \(in the level of \d+ vus: .*interrupt`, stderr)
	require.Contains(t, stderr, "capacity: ")
	require.Regexp(t, `(?s)^Injecting with 1 vus[^\n]*\n(Injecting [^\n]*\n)*--- FAIL.*FAIL\n\n`+
		`vus,rps,resp_time,req_failed\n1,[^\n]*\n.*$`, stdout)
	csv, err := os.ReadFile(filepath.Join(dir, "results", "latest", "ramp.csv"))
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(stdout, string(csv)), "%s", csv)
	doc, err := os.ReadFile(filepath.Join(dir, "results", "latest", "result.json"))
	require.NoError(t, err)
	require.Contains(t, string(doc), `"reason": "canceled"`)
	require.Contains(t, string(doc), `"rounds": [`)
}

// TestClientsStartAtOneInstant starts two clients at one instant, and one that is interrupted while
// it waits for an instant far ahead.
func TestClientsStartAtOneInstant(t *testing.T) {
	dir, err := client()
	require.NoError(t, err)
	server := fakes(t.Cleanup)["GOOD"]
	launch := func(start time.Time, stdout io.Writer) *exec.Cmd {
		cmd := exec.Command(filepath.Join(dir, "client"), "-test.run", "^TestLevel$")
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "SERVER="+server, "DURATION=200ms", "VUS=2", "OUTPUT=json", "CI=true",
			fmt.Sprintf("START_AT=%d.%09d", start.Unix(), start.Nanosecond()))
		cmd.Stdout = stdout
		require.NoError(t, cmd.Start())
		return cmd
	}
	var out [3]bytes.Buffer
	start := time.Now().Add(2 * time.Second)
	waiting := launch(start.Add(time.Minute), &out[2])
	clients := []*exec.Cmd{launch(start, &out[0]), launch(start, &out[1])}
	var levels []Level
	for i, c := range clients {
		require.NoError(t, c.Wait(), "%s", &out[i])
		lines := strings.Split(strings.TrimSpace(out[i].String()), "\n")
		r, err := result.ReadJSON(strings.NewReader(lines[len(lines)-1]))
		require.NoError(t, err)
		levels = append(levels, r.Levels...)
		require.Equal(t, levels[i].Started.Sub(start), *levels[i].StartSkew)
		require.GreaterOrEqual(t, *levels[i].StartSkew, time.Duration(0))
	}
	merged, err := result.Merge(levels)
	require.NoError(t, err)
	require.Equal(t, 4, merged.VUs)
	require.Zero(t, merged.Failures.Total())

	require.NoError(t, waiting.Process.Signal(syscall.SIGINT))
	var exit *exec.ExitError
	require.ErrorAs(t, waiting.Wait(), &exit)
	require.Equal(t, 130, exit.ExitCode())
	require.NotContains(t, out[2].String(), "{")
}
