package k6

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
)

// actAs names the variable that makes this test binary somebody else: a k6 that behaves as its
// value says, or a server.
const actAs = "RAMPART_TEST_ACT_AS"

func TestMain(m *testing.M) {
	switch act := os.Getenv(actAs); act {
	case "":
		os.Exit(m.Run())
	case "server":
		serve()
	case "parent":
		parent()
	default:
		os.Exit(fakeK6(act))
	}
}

// serviceTime is that of the server that this test binary can be.
const serviceTime = 5 * time.Millisecond

// serve is a server with a service time. It ends with its stdin.
func serve() {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { pause(serviceTime) }))
	fmt.Println(server.URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// parent injects with a k6 that does not end by itself, and says which process that is.
func parent() {
	os.Setenv(actAs, "until interrupted")
	u, _ := url.Parse("http://127.0.0.1:1/")
	e, err := New(inject.HTTPConfig{URL: u})
	if err != nil {
		panic(err)
	}
	l := load(1)
	l.OnEdge = func() {
		for p := range e.running {
			fmt.Println(p.cmd.Process.Pid)
		}
	}
	_, err = e.Inject(context.Background(), l)
	panic(err)
}

// fakeK6 is a k6 that behaves in a certain way, and returns its exit code.
func fakeK6(act string) int {
	text, _ := io.ReadAll(os.Stdin)
	token := settingsIn(string(text)).Token
	switch act {
	case "fail":
		fmt.Fprintln(os.Stderr, "it is all wrong")
		fmt.Fprintln(os.Stderr, "really")
		return 107
	case "leak":
		os.Stderr.Write(text)
		return 1
	case "garbage":
		fmt.Println("a table for people")
	case "nothing":
	case "arguments":
		b, _ := json.Marshal([][]string{os.Args, os.Environ()})
		os.WriteFile(os.Getenv("RAMPART_TEST_FILE"), b, 0o600)
		fmt.Println(`{"rampart":1}`)
	case "kill":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "edges":
		fmt.Fprintf(os.Stderr, "level=info msg=%s\nsomething else\nmsg=%s\nmsg=%s\n", token, token, token)
		fmt.Println(`{"rampart":1,"outside":3,"connects":1.5,"failures":{"timeout":2}}`)
	case "until interrupted", "deaf":
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGINT)
		fmt.Fprintln(os.Stderr, token)
		for s := range signals {
			if act == "deaf" {
				continue
			}
			fmt.Printf("{\"rampart\":1,\"outside\":7}\n")
			fmt.Fprintln(os.Stderr, "interrupted by", s)
			return 105
		}
	}
	return 0
}

// settingsIn reads the settings out of a script.
func settingsIn(text string) settings {
	_, rest, _ := strings.Cut(text, "JSON.parse(")
	var literal string
	var s settings
	if err := json.NewDecoder(strings.NewReader(rest)).Decode(&literal); err != nil {
		panic(err)
	}
	if err := json.Unmarshal([]byte(literal), &s); err != nil {
		panic(err)
	}
	return s
}

// fake puts a k6 on PATH that behaves as act says, and returns an engine with it.
func fake(t *testing.T, act string, rawURL string) *Engine {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.Symlink(self, filepath.Join(dir, "k6")))
	t.Setenv("PATH", dir)
	t.Setenv(actAs, act)
	return engine(t, rawURL)
}

// engine returns an engine for a URL.
func engine(t *testing.T, rawURL string, change ...func(*inject.HTTPConfig)) *Engine {
	t.Helper()
	u, err := url.Parse(rawURL)
	require.NoError(t, err)
	c := inject.HTTPConfig{URL: u}
	for _, f := range change {
		f(&c)
	}
	e, err := New(c)
	require.NoError(t, err)
	return e
}

// needK6 skips a test where there is no k6.
func needK6(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("k6"); errors.Is(err, exec.ErrNotFound) {
		t.Skip("k6 is not installed")
	}
}

func load(vus int) inject.Load {
	return inject.Load{VUs: vus, Warmup: 50 * time.Millisecond, Window: 200 * time.Millisecond, Timeout: 5 * time.Second}
}

// raw serves each connection with a function.
func raw(t *testing.T, serve func(net.Conn, *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				serve(conn, bufio.NewReader(conn))
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return "http://" + l.Addr().String()
}

// read reads one request and reports whether there was one.
func read(r *bufio.Reader) bool {
	_, err := http.ReadRequest(r)
	return err == nil
}
