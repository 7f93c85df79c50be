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

	"rampart/loadtest/report"
)

// client builds the experiments as the program that they are in the client image, once for all tests.
var client = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rampart-client-")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "test", "-c", "-tags=load", "-o", filepath.Join(dir, "client"), "rampart/loadtest").CombinedOutput()
	if err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	if command := os.Getenv(orphanEnv); command != "" {
		server, err := StartServer(context.Background(), "sh", "-c", "echo listening on 127.0.0.1:1 >&2; exec "+command)
		must(err)
		fmt.Println(server.pid)
		must(syscall.Kill(os.Getpid(), syscall.SIGKILL))
	}
	if flaw := os.Getenv(contenderEnv); flaw != "" {
		serveAsContender(flaw)
	}
	if url := os.Getenv(injectEnv); url != "" {
		injectAndPrintDoubts(url)
		return
	}
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

// fakes are servers that the scripts load, by the variable that holds their address. Each request takes 5 ms, so that
// throughput doubles with the number of VUs whatever the machine is doing.
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
	socket := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(5 * time.Millisecond) }))
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
		"SOCKET": path,
		"SECURE": secure.Listener.Addr().String(),
		"CLOSED": closed.Listener.Addr().String(),
	}
}

func TestScripts(t *testing.T) {
	dir, err := client()
	require.NoError(t, err)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("..", "testdata", "client"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", dir+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("CLIENT", dir)
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

// TestInterrupt sends what Ctrl-C sends, in the third level.
func TestInterrupt(t *testing.T) {
	dir, err := client()
	require.NoError(t, err)
	cmd := exec.Command(filepath.Join(dir, "client"), "-test.run", "TestRamp")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "SERVER="+fakes(t.Cleanup)["GOOD"], "DURATION=500ms", "WARMUP=0s", "CI=true")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var out strings.Builder
	for buf := make([]byte, 1024); ; {
		n, err := stdout.Read(buf)
		out.Write(buf[:n])
		if err != nil {
			break
		}
		if strings.Contains(string(buf[:n]), "with 2 vus") {
			time.Sleep(100 * time.Millisecond) // into the third level
			require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
		}
	}
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, 130, exit.ExitCode(), "%s%s", out.String(), stderr.String())
	require.Regexp(t, `stop reason: canceled \(in the level of 4 vus: .*interrupt`, stderr.String())
	require.Regexp(t, `(?s)^(Injecting [^\n]*\n){3}--- FAIL.*FAIL\n\nvus,rps,resp_time,req_failed\n1,[^\n]*\n2,[^\n]*\n$`, out.String())

	csv, err := os.ReadFile(filepath.Join(cmd.Dir, "results", "latest", "ramp.csv"))
	require.NoError(t, err)
	require.Equal(t, 3, bytes.Count(csv, []byte("\n")), "%s", csv)
	doc, err := os.ReadFile(filepath.Join(cmd.Dir, "results", "latest", "result.json"))
	require.NoError(t, err)
	require.Contains(t, string(doc), `"partial": true`)
	require.Contains(t, string(doc), `"reason": "canceled"`)
}

// TestClientsStartAtOneInstant starts two clients at one instant, and one that is interrupted while it waits for an instant far ahead.
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
		r, err := report.ReadJSON(strings.NewReader(lines[len(lines)-1]))
		require.NoError(t, err)
		levels = append(levels, r.Levels...)
		require.Equal(t, levels[i].Started.Sub(start), *levels[i].StartSkew)
		require.GreaterOrEqual(t, *levels[i].StartSkew, time.Duration(0))
	}
	merged, err := report.Merge(levels)
	require.NoError(t, err)
	require.Equal(t, 4, merged.VUs)
	require.Zero(t, merged.Failures.Total())

	require.NoError(t, waiting.Process.Signal(syscall.SIGINT))
	var exit *exec.ExitError
	require.ErrorAs(t, waiting.Wait(), &exit)
	require.Equal(t, 130, exit.ExitCode())
	require.NotContains(t, out[2].String(), "{")
}
