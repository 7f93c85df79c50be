//go:build linux

package prefork

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The test binary is master and worker too. A master is started with its Config in this variable;
// its workers find out by Attach. The second one makes workers misbehave.
const (
	masterEnv    = "PREFORK_TEST_MASTER"
	trickEnv     = "PREFORK_TEST_TRICK"
	subreaperEnv = "PREFORK_TEST_SUBREAPER" // the master adopts orphans, as process 1 would
	tlsEnv       = "PREFORK_TEST_TLS"       // a file with certificate and key
	exitBoot     = 3
	exitFailed   = 1
)

func TestMain(m *testing.M) {
	worker, err := Attach()
	if err == nil {
		err = readCertificate()
	}
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitFailed)
	case worker != nil:
		os.Exit(workerMain(worker))
	case os.Getenv(masterEnv) != "":
		os.Exit(masterMain())
	}
	// With -race, processes sleep for a second before they end, in case a race is about to be
	// reported.
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	// The tests wait for processes most of the time, so more of them run at once than there are
	// processors, unless the command line says otherwise.
	flag.Parse()
	if !given("test.parallel") {
		flag.Set("test.parallel", "6")
	}
	os.Exit(m.Run())
}

// tlsConfig is nil if there is no certificate.
var tlsConfig *tls.Config

// readCertificate reads what a worker needs in the master, too: see the comment of the package.
func readCertificate() error {
	path := os.Getenv(tlsEnv)
	if path == "" {
		return nil
	}
	cert, err := tls.LoadX509KeyPair(path, path)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	tlsConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	return nil
}

func given(name string) bool {
	found := false
	flag.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

// proof makes the tests as long as what they show is to hold, which takes minutes: make
// supervisor-proof.
var proof = os.Getenv("SUPERVISOR_PROOF") != ""

// often is how often something is tried.
func often(usual, inProof int) int {
	if proof {
		return inProof
	}
	return usual
}

// Limits of time show nothing by themselves on a machine that builds and tests much else at once,
// as the race detector makes it. So what has to come has very long, and what must not take long is
// compared with what would be wrong.
const (
	// late is when what should have come will come no more.
	late = 30 * time.Second
	// quick is less than what waits for the grace that a server has by default.
	quick = defaultGrace / 2
)

func masterMain() int {
	var cfg Config
	if err := json.Unmarshal([]byte(os.Getenv(masterEnv)), &cfg); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	if os.Getenv(subreaperEnv) != "" {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return exitFailed
		}
	}
	cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg.Ready = func(addr net.Addr) { fmt.Fprintf(os.Stderr, "listening on %s\n", addr) }
	run := func() error { return Run(context.Background(), cfg) }
	if cfg.Workers == 0 {
		run = func() error { return ServeAlone(context.Background(), cfg, &http.Server{Handler: application(nil)}) }
	}
	err := run()
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

// workerMain serves a little application that shows what the package does and can be made to behave
// badly.
func workerMain(w *Worker) int {
	switch trick := os.Getenv(trickEnv); trick {
	case "":
	case "boot-exit":
		fmt.Fprintln(os.Stderr, "no database to be had")
		return 7
	case "dies": // the worker of the first slot, 50 ms after it began to serve, every time
		if w.slot == 0 {
			go func() {
				for w.board.state(0) != stateReady {
					time.Sleep(time.Millisecond)
				}
				time.Sleep(50 * time.Millisecond)
				os.Exit(5)
			}()
		}
	case "boot-hang":
		fmt.Fprintln(os.Stderr, "hanging")
		time.Sleep(time.Hour)
	case "last-hangs":
		if w.slot > 0 {
			fmt.Fprintln(os.Stderr, "hanging")
			time.Sleep(time.Hour)
		}
	case "few-files":
		// Enough for what the runtime and the listener need, and a few connections.
		limit := unix.Rlimit{Cur: 24, Max: 24}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return exitFailed
		}
	case "deaf": // not even SIGABRT ends it
		signal.Ignore(unix.SIGABRT)
	default: // a file
		if path, ok := strings.CutPrefix(trick, "fifth-exits:"); ok {
			if n, err := started(path); n == 5 || err != nil {
				fmt.Fprintln(os.Stderr, "the fifth", err)
				return 7
			}
			break
		}
		// Workers that start while it is there wait until it is not, hang, or do not come up.
		for text, err := os.ReadFile(trick); err == nil; text, err = os.ReadFile(trick) {
			switch string(text) {
			case "wait":
				time.Sleep(5 * time.Millisecond)
			case "hang":
				fmt.Fprintln(os.Stderr, "hanging")
				time.Sleep(time.Hour)
			default:
				return 7
			}
		}
	}
	mux := application(w)
	server := &http.Server{Handler: mux}
	socketServer(server, mux)
	server.TLSConfig = tlsConfig
	if err := w.Serve(server); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	return 0
}

// started counts the workers that start, in a file.
func started(path string) (int64, error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if _, err := file.WriteString("x"); err != nil {
		return 0, err
	}
	return file.Seek(0, io.SeekCurrent)
}

// application is what is served, by w or, if that is nil, by a process alone.
func application(w *Worker) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/pid", func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, os.Getpid()) })
	mux.HandleFunc("/sleep", func(rw http.ResponseWriter, r *http.Request) {
		d, _ := time.ParseDuration(r.FormValue("d"))
		time.Sleep(d)
		fmt.Fprint(rw, os.Getpid())
	})
	mux.HandleFunc("/hold", func(rw http.ResponseWriter, r *http.Request) { // until there is a file
		for {
			if _, err := os.Stat(r.FormValue("file")); err == nil {
				fmt.Fprint(rw, os.Getpid())
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
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
	mux.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(0) })
	mux.HandleFunc("/say", func(rw http.ResponseWriter, r *http.Request) { fmt.Fprintln(os.Stderr, r.FormValue("what")) })
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
	mux.HandleFunc("/build", func(rw http.ResponseWriter, r *http.Request) { // the size of the program
		info, err := os.Stat(runningProgram)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(rw, info.Size())
	})
	return mux
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
	// namespace: the pids in the log are those of a namespace, all of whose processes end with the
	// master.
	namespace bool

	mu      sync.Mutex
	log     strings.Builder
	changed chan struct{} // closed and renewed with each line of the log
	ended   chan struct{}
	code    int
}

// startMaster starts a master with its workers, and sees to it that none of them is left after the
// test.
func startMaster(t *testing.T, cfg Config, env ...string) *server {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	return startProgram(t, exe, configText(t, cfg), env...)
}

// configText is how a master under test gets its configuration.
func configText(t *testing.T, cfg Config) string {
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
	return string(text)
}

// startProgram starts a copy of this test binary as a master.
func startProgram(t *testing.T, exe, config string, env ...string) *server {
	t.Helper()
	return startCommand(t, exec.Command(exe, os.Args[1:]...), config, env...)
}

func startCommand(t *testing.T, cmd *exec.Cmd, config string, env ...string) *server {
	t.Helper()
	s := &server{t: t, cmd: cmd, changed: make(chan struct{}), ended: make(chan struct{})}
	s.cmd.Env = append(append(os.Environ(), masterEnv+"="+config), env...)
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
			for _, pid := range s.pidsStarted() {
				eventually(t, "the dead are waited for", func() bool { return processState(pid) != "Z" })
			}
			s.signal(unix.SIGINT)
		}
		for _, pid := range s.successors() {
			syscall.Kill(pid, unix.SIGINT)
		}
		select {
		case <-logged:
		case <-time.After(late):
			for _, pid := range append(s.pidsStarted(), s.successors()...) {
				syscall.Kill(pid, unix.SIGKILL)
			}
			s.cmd.Process.Kill()
			<-s.ended
			t.Error("processes were left")
		}
		<-s.ended
		for _, pid := range append(s.pidsStarted(), s.successors()...) {
			// It has closed its files. That it is gone may take a moment more.
			eventually(t, fmt.Sprintf("process %d is gone", pid), func() bool { return !alive(pid) })
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
	return startMaster(t, cfg, env...).listening()
}

// listening waits until the server is ready.
func (s *server) listening() *server {
	s.t.Helper()
	s.addr = strings.TrimPrefix(s.waitLog("listening on "), "listening on ")
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
	end := time.After(late)
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
		case <-end:
			require.FailNow(s.t, "not in the log", "%q", what)
		}
	}
}

// pidsStarted are the workers that were ever started, from the log.
func (s *server) pidsStarted() []int { return s.pids(`msg="worker started"`, "pid=") }

// successors are the masters that were started to take over.
func (s *server) successors() []int { return s.pids("msg=upgrading", "successor=") }

func (s *server) pids(message, key string) []int {
	var pids []int
	if s.namespace {
		return nil
	}
	for line := range strings.Lines(s.text()) {
		if _, rest, ok := strings.Cut(line, message); ok {
			_, rest, _ = strings.Cut(rest, key)
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
	case <-time.After(late):
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
	return &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}, Timeout: late}
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
	require.NoError(s.t, c.SetReadDeadline(time.Now().Add(late)))
	return c.(*net.TCPConn)
}

// held is the path of a request that is answered once release was called.
func held(t *testing.T) (path string, release func()) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "release")
	return "/hold?file=" + url.QueryEscape(file), func() { require.NoError(t, os.WriteFile(file, nil, 0o600)) }
}

func wire(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n" }

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	wait := 2 * time.Millisecond
	for end := time.Now().Add(late); !done(); wait = min(2*wait, 50*time.Millisecond) {
		if time.Now().After(end) {
			require.FailNow(t, "did not happen", what)
		}
		time.Sleep(wait)
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
