//go:build linux

package prefork

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The test binary is master and worker too. A master is started with its Config in this variable; its
// workers find out by Attach. The second one makes workers misbehave.
const (
	masterEnv    = "PREFORK_TEST_MASTER"
	trickEnv     = "PREFORK_TEST_TRICK"
	subreaperEnv = "PREFORK_TEST_SUBREAPER" // the master adopts orphans, as process 1 would
	exitBoot     = 3
	exitFailed   = 1
)

func TestMain(m *testing.M) {
	worker, err := Attach()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitFailed)
	case worker != nil:
		os.Exit(workerMain(worker))
	case os.Getenv(masterEnv) != "":
		os.Exit(masterMain())
	}
	// With -race, processes sleep for a second before they end, in case a race is about to be reported.
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	// The tests wait for processes most of the time, so more of them run at once than there are processors,
	// unless the command line says otherwise.
	flag.Parse()
	if !given("test.parallel") {
		flag.Set("test.parallel", "6")
	}
	os.Exit(m.Run())
}

func given(name string) bool {
	found := false
	flag.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

func masterMain() int {
	var cfg Config
	if err := json.Unmarshal([]byte(os.Getenv(masterEnv)), &cfg); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	os.Unsetenv(masterEnv)
	if os.Getenv(subreaperEnv) != "" {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return exitFailed
		}
	}
	cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg.Ready = func(addr net.Addr) { fmt.Fprintf(os.Stderr, "listening on %s\n", addr) }
	err := Run(context.Background(), cfg)
	fmt.Fprintf(os.Stderr, "run returned: %v\n", err)
	var boot *BootError
	switch {
	case errors.As(err, &boot):
		return exitBoot
	case err != nil:
		return exitFailed
	}
	return 0
}

// workerMain serves a little application that shows what the package does and can be made to behave badly.
func workerMain(w *Worker) int {
	switch trick := os.Getenv(trickEnv); trick {
	case "":
	case "boot-exit":
		return 7
	case "boot-hang":
		time.Sleep(time.Hour)
	case "few-files":
		// Enough for what the runtime and the listener need, and a few connections.
		limit := unix.Rlimit{Cur: 24, Max: 24}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return exitFailed
		}
	default: // a file: workers other than those of the first start do not come up while it is there
		if _, err := os.Stat(trick); err == nil {
			return 7
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/pid", func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, os.Getpid()) })
	mux.HandleFunc("/sleep", func(rw http.ResponseWriter, r *http.Request) {
		d, _ := time.ParseDuration(r.FormValue("d"))
		time.Sleep(d)
		fmt.Fprint(rw, os.Getpid())
	})
	mux.HandleFunc("/burn", func(rw http.ResponseWriter, r *http.Request) {
		d, _ := time.ParseDuration(r.FormValue("d"))
		for end := time.Now().Add(d); time.Now().Before(end); {
		}
		fmt.Fprint(rw, os.Getpid())
	})
	mux.HandleFunc("/use", func(rw http.ResponseWriter, r *http.Request) { // d of processor time
		d, _ := time.ParseDuration(r.FormValue("d"))
		used := func() time.Duration {
			used, err := processCPU(os.Getpid())
			if err != nil {
				panic(err)
			}
			return used
		}
		for end := used() + d; used() < end; {
		}
		fmt.Fprint(rw, os.Getpid())
	})
	mux.HandleFunc("/orphan", func(rw http.ResponseWriter, r *http.Request) { // its pid; it ends soon after its parent
		out, err := exec.Command("sh", "-c", "sleep 0.05 >/dev/null 2>&1 & echo $!").Output()
		if err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		rw.Write(out)
	})
	mux.HandleFunc("/stuck", stuckHandler)
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/hijack", func(rw http.ResponseWriter, r *http.Request) {
		c, buf, err := rw.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		fmt.Fprint(buf, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		buf.Flush()
		go io.Copy(c, c)
	})
	mux.HandleFunc("/count", func(rw http.ResponseWriter, r *http.Request) {
		w.Counters()[0].Add(1)
		w.Gauges()[0].Add(1)
		fmt.Fprint(rw, os.Getpid())
	})
	mux.HandleFunc("/shared", func(rw http.ResponseWriter, r *http.Request) {
		s := shared{CPU: w.Fleet().CPUTime(), Status: w.Fleet().Status()}
		for _, words := range w.AllCounters() {
			s.Counter += words[0].Load()
		}
		for _, words := range w.AllGauges() {
			s.Gauge += words[0].Load()
		}
		json.NewEncoder(rw).Encode(s)
	})
	mux.HandleFunc("/env", func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(rw, "%q %s %v", os.Getenv(workerEnv), os.Getenv("GOMAXPROCS"), os.Args)
	})
	if err := w.Serve(&http.Server{Handler: mux}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	return 0
}

//go:noinline
func stuckHandler(http.ResponseWriter, *http.Request) { select {} }

// shared is what /shared answers.
type shared struct {
	CPU            time.Duration
	Counter, Gauge uint64
	Status         Status
}

func (s shared) requests() uint64 {
	sum := uint64(0)
	for _, w := range s.Status.Workers {
		sum += w.Requests
	}
	return sum
}

// server is a master process under test.
type server struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string

	mu      sync.Mutex
	log     strings.Builder
	changed chan struct{} // closed and renewed with each line of the log
	ended   chan struct{}
	code    int
}

// startMaster starts a master with its workers, and sees to it that none of them is left after the test.
func startMaster(t *testing.T, cfg Config, env ...string) *server {
	t.Helper()
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	// Functions and the logger do not go through JSON and are set in the process itself.
	text, err := json.Marshal(struct {
		Config
		Log   *int `json:",omitempty"`
		Ready *int `json:",omitempty"`
	}{Config: cfg})
	require.NoError(t, err)
	exe, err := os.Executable()
	require.NoError(t, err)
	s := &server{t: t, changed: make(chan struct{}), ended: make(chan struct{})}
	s.cmd = exec.Command(exe, os.Args[1:]...)
	s.cmd.Env = append(append(os.Environ(), masterEnv+"="+string(text)), env...)
	read, write, err := os.Pipe()
	require.NoError(t, err)
	s.cmd.Stdout, s.cmd.Stderr = write, write
	require.NoError(t, s.cmd.Start())
	write.Close()
	logged := make(chan struct{})
	go func() { // ends when the last process with the pipe has ended: the master or an orphaned worker
		defer close(logged)
		defer read.Close()
		lines := bufio.NewScanner(read)
		for lines.Scan() {
			s.mu.Lock()
			s.log.WriteString(lines.Text() + "\n")
			close(s.changed)
			s.changed = make(chan struct{})
			s.mu.Unlock()
		}
	}()
	go func() {
		s.cmd.Wait()
		s.code = s.cmd.ProcessState.ExitCode()
		close(s.ended)
	}()
	t.Cleanup(func() {
		select {
		case <-s.ended:
		default:
			s.signal(unix.SIGINT)
		}
		select {
		case <-logged:
		case <-time.After(30 * time.Second):
			for _, pid := range s.pidsStarted() {
				syscall.Kill(pid, unix.SIGKILL)
			}
			s.cmd.Process.Kill()
			<-s.ended
			t.Error("processes were left")
		}
		<-s.ended
		for _, pid := range s.pidsStarted() {
			if alive(pid) {
				t.Errorf("worker %d was left", pid)
			}
		}
		if strings.Contains(s.text(), "DATA RACE") {
			t.Error("data race in a master or worker")
		}
		if t.Failed() {
			t.Log("log of the master:\n" + s.text())
		}
	})
	return s
}

// startServer starts a master and waits until it is ready.
func startServer(t *testing.T, cfg Config, env ...string) *server {
	t.Helper()
	s := startMaster(t, cfg, env...)
	line := s.waitLog("listening on ")
	s.addr = strings.TrimPrefix(line, "listening on ")
	return s
}

func (s *server) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// waitLog waits for a line of the log that holds all of what, and returns it.
func (s *server) waitLog(what ...string) string {
	s.t.Helper()
	late := time.After(30 * time.Second)
	for {
		s.mu.Lock()
		changed, text := s.changed, s.log.String()
		s.mu.Unlock()
	lines:
		for line := range strings.Lines(text) {
			for _, w := range what {
				if !strings.Contains(line, w) {
					continue lines
				}
			}
			return strings.TrimSuffix(line, "\n")
		}
		select {
		case <-changed:
		case <-late:
			require.FailNow(s.t, "not in the log", "%q", what)
		}
	}
}

// pidsStarted are the workers that were ever started, from the log.
func (s *server) pidsStarted() []int {
	var pids []int
	for line := range strings.Lines(s.text()) {
		if _, rest, ok := strings.Cut(line, `msg="worker started"`); ok {
			_, rest, _ = strings.Cut(rest, "pid=")
			pid, err := strconv.Atoi(strings.Fields(rest)[0])
			require.NoError(s.t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

func (s *server) signal(sig syscall.Signal) {
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Error(err)
	}
}

// wait waits for the master to end and returns its exit code.
func (s *server) wait() int {
	s.t.Helper()
	select {
	case <-s.ended:
		return s.code
	case <-time.After(30 * time.Second):
		require.FailNow(s.t, "the master does not end")
		return -1
	}
}

func (s *server) url(path string) string { return "http://" + s.addr + path }

// get requests path over a connection of its own.
func (s *server) get(path string) string {
	s.t.Helper()
	c := s.client()
	defer c.CloseIdleConnections()
	return get(s.t, c, s.url(path))
}

func (s *server) shared() shared {
	s.t.Helper()
	var sh shared
	require.NoError(s.t, json.Unmarshal([]byte(s.get("/shared")), &sh))
	return sh
}

// client has one connection, which it keeps.
func (s *server) client() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}, Timeout: 10 * time.Second}
}

func get(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	body, err := fetch(c, url)
	require.NoError(t, err)
	return body
}

func fetch(c *http.Client, url string) (string, error) {
	res, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	return string(body), err
}

// dial opens a connection and writes text on it.
func (s *server) dial(text string) *net.TCPConn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { c.Close() })
	_, err = io.WriteString(c, text)
	require.NoError(s.t, err)
	require.NoError(s.t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
	return c.(*net.TCPConn)
}

func wire(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n" }

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			require.FailNow(t, "did not happen", what)
		}
	}
}

// alive reports whether a process runs. One that has ended and was not waited for does not.
func alive(pid int) bool {
	state := processState(pid)
	return state != "" && state != "Z" && state != "X"
}

// freeze stops a process as a debugger would. The signal takes its time.
func freeze(t *testing.T, pid int) {
	t.Helper()
	require.NoError(t, syscall.Kill(pid, unix.SIGSTOP))
	t.Cleanup(func() { syscall.Kill(pid, unix.SIGCONT) })
	eventually(t, "the process stops", func() bool { return processState(pid) == "T" })
}

// processState is the letter that ps shows, or nothing if there is no such process.
func processState(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return rest[:1]
}
