package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain makes this test binary what its name says: peers, a tool, or the server. Then what it
// prints lies beside it, because tools are started without the variables of a test.
func TestMain(m *testing.M) {
	dir, name := filepath.Split(os.Args[0])
	switch name {
	case "peers":
		main()
	case "nginx":
		fakeNginx(dir)
		syscall.Exit(0) // as below
	case "client", "wrk":
		syscall.Exit(fakeTool(dir, name)) // not os.Exit, which waits for a second under the race detector
	default:
		os.Exit(m.Run())
	}
}

// fakeNginx serves the constant where the configuration says.
func fakeNginx(dir string) {
	if len(os.Args) == 2 {
		fmt.Println("nginx version: nginx/0.0.1")
		return
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	conf, err := os.ReadFile(os.Args[len(os.Args)-1])
	must(err)
	addr := regexp.MustCompile(`listen (\S+)`).FindSubmatch(conf)[1]
	must(os.WriteFile(filepath.Join(dir, "nginx.pid"), []byte(strconv.Itoa(os.Getpid())), 0o666))
	go func() {
		must(http.ListenAndServe(string(addr), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, constant)
		})))
	}()
	<-stop
}

// fakeTool prints NAME.out, or writes it where rampart's client does; without it, it fails. With
// NAME.hang it starts a child, and both do not end. It returns the exit code.
func fakeTool(dir, name string) int {
	if len(os.Args) == 2 {
		fmt.Println("wrk 0.0.2 [epoll]")
		return 0
	}
	for _, variable := range os.Environ() {
		if strings.HasPrefix(variable, "PEERS_TEST") {
			panic("the tool can see " + variable)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, name+".hang")); err == nil {
		child := exec.Command("sleep", "1000")
		must(child.Start())
		must(os.WriteFile(filepath.Join(dir, name+".pid"), fmt.Appendf(nil, "%d %d", os.Getpid(), child.Process.Pid), 0o666))
		time.Sleep(time.Minute)
	}
	out, err := os.ReadFile(filepath.Join(dir, name+".out"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "out of order")
		return 3
	}
	busy(10 * time.Millisecond)
	if name == "client" {
		results := filepath.Join(os.Getenv("RESULTS"), "latest")
		must(os.Mkdir(results, 0o777))
		must(os.WriteFile(filepath.Join(results, "result.json"), out, 0o666))
		if bytes.Contains(out, []byte(`"status"`)) {
			return 1
		}
		return 0
	}
	os.Stdout.Write(out)
	return 0
}

func busy(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// fakes makes a folder with fake programs, which is all that is in the path of the test. outputs
// are what they print, by their names, as files of testdata; a tool without one fails.
func fakes(t *testing.T, outputs map[string]string) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	for _, name := range []string{"peers", "nginx", "client", "wrk"} {
		require.NoError(t, os.Symlink(self, filepath.Join(dir, name)))
	}
	sleep, err := exec.LookPath("sleep")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(sleep, filepath.Join(dir, "sleep")))
	for name, sample := range outputs {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+".out"), recorded(t, sample), 0o666))
	}
	t.Setenv("PATH", dir)
	t.Setenv("PEERS_TEST", "is not for the tools")
	t.Setenv("TMPDIR", t.TempDir())
	for _, v := range variables {
		t.Setenv(v.env, "")
	}
	return dir
}

// requireNothingLeft checks that the server has ended and no temporary file is there.
func requireNothingLeft(t *testing.T, dir string) {
	t.Helper()
	requireEnded(t, filepath.Join(dir, "nginx.pid"))
	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	require.Empty(t, left)
}

// requireEnded checks that none of the processes in a file is there any more.
func requireEnded(t *testing.T, path string) {
	t.Helper()
	pids, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, field := range strings.Fields(string(pids)) {
		pid, err := strconv.Atoi(field)
		require.NoError(t, err)
		// A killed child of a killed process is there until whoever it belongs to now has waited for it.
		require.Eventually(t, func() bool {
			return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || zombie(pid)
		}, 2*time.Second, 10*time.Millisecond, "process %d of %s", pid, path)
	}
}

func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && bytes.Contains(stat, []byte(") Z "))
}

func TestRun(t *testing.T) {
	healthy := map[string]string{"client": "rampart.json", "wrk": "wrk.txt"}
	for name, test := range map[string]struct {
		outputs map[string]string
		args    string
		code    int
		stdout  []string // patterns
		stderr  []string
	}{
		"table": {
			healthy, "-rounds 2 -vus 1,2 -tools rampart,wrk,hey -seed 7", exitOK,
			[]string{
				`nginx 0\.0\.1 with one worker that answers a constant of 13 bytes\. rampart, wrk 0\.0\.2\. Not installed: hey\.`,
				"`ROUNDS=2 DURATION=3s VUS=1,2 TOOLS=rampart,wrk,hey SEED=7 make peers`",
				`(?m)^\| 1 \| rampart \| 2\.\d+ \([^|]*\) \| \d`, `(?m)^\| 2 \| wrk \| 1 \| 1 \| 1 \| \d`,
			},
			[]string{"skipped, not installed: hey\n", "8 runs, about 32s", `round 2, +2 vus, wrk`},
		},
		"failures are no speed": {
			map[string]string{"client": "rampart-status.json", "wrk": "wrk.txt"}, "-rounds 1 -vus 1", exitOK,
			[]string{`\| 1 \| rampart \| – \| – \| – \| – \| \*\*8529\*\* in 1 of 1 rounds, left out \|`},
			[]string{`8529 FAILED`},
		},
		"a tool that fails does not stop the others": {
			map[string]string{"client": "rampart.json"}, "-rounds 1 -vus 1,2", exitFailed,
			[]string{`\| 2 \| rampart \| – \| – \| – \| \d[^|]+ \| 0 \|`,
				`\| 2 \| wrk \| 1 \|.* \*\*not measured\*\* in 1 of 1 rounds`},
			[]string{`(?s)could not be measured: output of wrk.*exit status 3.*out of order`,
				`2 of 4 runs could not be measured`},
		},
		"required and not known": {
			map[string]string{"client": "rampart-status.json", "wrk": "wrk.txt"},
			"-rounds 1 -vus 1 -require -tools rampart,wrk", exitFailed,
			nil, []string{`required, but not known: nothing to compare at 1 VUs`},
		},
		"many": {
			healthy, "-many 100", exitOK,
			[]string{`^100 VUs for 3s against nginx.* all connected after \d+ms at most.* 0 failed, .* MB resident\n$`}, nil,
		},
		"many with failures": {
			map[string]string{"client": "rampart-status.json"}, "-many 100", exitFailed,
			[]string{`8529 failed`}, []string{`8529 requests failed: none may`},
		},
		"too many": {healthy, "-many 100000000", exitFailed, nil,
			[]string{`100000000 VUs need 100000064 open files.*ulimit`}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := fakes(t, test.outputs)
			var stdout, stderr bytes.Buffer
			code := run(append(strings.Fields(test.args), "-client", filepath.Join(dir, "client")), &stdout, &stderr)
			require.Equal(t, test.code, code, "%s%s", &stdout, &stderr)
			for _, pattern := range test.stdout {
				require.Regexp(t, pattern, stdout.String())
			}
			for _, pattern := range test.stderr {
				require.Regexp(t, pattern, stderr.String())
			}
			if name != "too many" {
				requireNothingLeft(t, dir)
			}
		})
	}
}

// TestRequire has a wrk that is fast beyond reach, and one that is slow.
func TestRequire(t *testing.T) {
	dir := fakes(t, map[string]string{"client": "rampart.json"})
	for rate, want := range map[string]int{"1000000": exitFailed, "10": exitOK} {
		// One request each, so that CPU per request is high enough.
		text := "  1 requests in 1.00s, 1MB read\nRequests/sec: " + rate + "\n"
		require.NoError(t, os.WriteFile(filepath.Join(dir, "wrk.out"), []byte(text), 0o666))
		args := []string{"-require", "-rounds", "1", "-vus", "1", "-tools", "rampart,wrk",
			"-client", filepath.Join(dir, "client")}
		var stdout, stderr bytes.Buffer
		require.Equal(t, want, run(args, &stdout, &stderr), "%s", &stderr)
		require.Contains(t, stdout.String(), "| 1 | rampart |")
	}
}

func TestUsage(t *testing.T) {
	fakes(t, nil)
	t.Setenv("VUS", "0")
	for args, want := range map[string]string{
		"":                             `VUS="0": want different numbers of VUs`,
		"-vus 1,1":                     `want different numbers of VUs`,
		"-vus 1 -rounds 0":             `-rounds 0: want at least 1`,
		"-vus 1 -duration 1500ms":      `-duration 1.5s: want whole seconds`,
		"-vus 1 -tools wrk,ab":         `want some of rampart,wrk,hey,vegeta,k6`,
		"-vus 1 -tools hey -require":   `-require needs rampart and wrk among -tools`,
		"-vus 1 -many -1":              `-many -1: want`,
		"-vus 1 more":                  `argument "more": there are only flags`,
		"-vus 1 -nonsense":             `flag provided but not defined`,
		"-vus 1 -many 1 -rounds x":     `invalid value "x"`,
		"-vus 1 -duration 0s -many 10": `-duration 0s`,
	} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, exitUsage, run(strings.Fields(args), &stdout, &stderr), args)
		require.Contains(t, stderr.String(), want, args)
		require.Empty(t, stdout.String())
	}
	var stderr bytes.Buffer
	require.Equal(t, exitOK, run([]string{"-h"}, nil, &stderr))
	require.Contains(t, stderr.String(), "-rounds")
}

// TestMissing has no client, or not the tool that must be there.
func TestMissing(t *testing.T) {
	dir := fakes(t, nil)
	for args, want := range map[string]string{
		"-client nowhere":                        `no program nowhere: build it with go test -c`,
		"-tools hey":                             `none of the tools is installed`,
		"-require -client " + dir + "/client":    `-require compares with wrk, which is not installed`,
		"-many 1 -tools wrk -client ./elsewhere": `no program ./elsewhere`,
	} {
		if strings.HasPrefix(args, "-require") {
			require.NoError(t, os.Remove(filepath.Join(dir, "wrk")))
		}
		var stdout, stderr bytes.Buffer
		require.Equal(t, exitFailed, run(strings.Fields(args), &stdout, &stderr), args)
		require.Contains(t, stderr.String(), want, args)
		require.NoFileExists(t, filepath.Join(dir, "nginx.pid"))
	}
}

// TestInterrupt sends what Ctrl-C sends, while the second tool runs.
func TestInterrupt(t *testing.T) {
	dir := fakes(t, map[string]string{"client": "rampart.json", "wrk": "wrk.txt"})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "wrk.hang"), nil, 0o666))
	cmd := exec.Command(filepath.Join(dir, "peers"), "-vus", "1", "-tools", "rampart,wrk",
		"-client", filepath.Join(dir, "client"),
		"-seed", seedThatBegins(nameRampart))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Start())
	defer cmd.Process.Kill()
	wait(t, filepath.Join(dir, "wrk.pid"))
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))

	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, exitInterrupted, exit.ExitCode(), "%s%s", &stdout, &stderr)
	require.Contains(t, stdout.String(), "| 1 | rampart | –", "what was measured")
	require.NotContains(t, stdout.String(), "| 1 | wrk |")
	require.Contains(t, stderr.String(), "the table has only what was measured until then")
	requireEnded(t, filepath.Join(dir, "wrk.pid"))
	requireNothingLeft(t, dir)
}

// TestKill kills peers without a chance to stop anything: tool and server end all the same.
func TestKill(t *testing.T) {
	dir := fakes(t, map[string]string{"wrk": "wrk.txt"})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "wrk.hang"), nil, 0o666))
	cmd := exec.Command(filepath.Join(dir, "peers"), "-vus", "1", "-tools", "wrk")
	require.NoError(t, cmd.Start())
	wait(t, filepath.Join(dir, "wrk.pid"))
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	pids, err := os.ReadFile(filepath.Join(dir, "wrk.pid"))
	require.NoError(t, err)
	tool, child, _ := strings.Cut(string(pids), " ")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "wrk.pid"), []byte(tool), 0o666))
	requireEnded(t, filepath.Join(dir, "wrk.pid"))
	requireEnded(t, filepath.Join(dir, "nginx.pid"))

	// A tool's own child is the tool's to end; this one's does not.
	pid, err := strconv.Atoi(child)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
}

// seedThatBegins returns a seed with which the tool is the first of two.
func seedThatBegins(name string) string {
	for seed := uint64(1); ; seed++ {
		if order := newOrder(seed).Perm(2); toolNames()[order[0]] == name {
			return strconv.FormatUint(seed, 10)
		}
	}
}

// wait waits for a file with something in it.
func wait(t *testing.T, path string) {
	t.Helper()
	require.Eventually(t, func() bool {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return false
		}
		return err == nil && info.Size() > 0
	}, 5*time.Second, 10*time.Millisecond)
}

// TestBundledServer starts the server that is loaded where there is no nginx.
func TestBundledServer(t *testing.T) {
	t.Parallel()
	addr, err := freeAddr()
	require.NoError(t, err)
	s, err := startBundled(t.Context(), t.TempDir(), addr)
	require.NoError(t, err)
	require.NoError(t, s.stop())
}

// TestServerThatDoesNotStart has an nginx whose address is taken.
func TestServerThatDoesNotStart(t *testing.T) {
	s := &server{url: "http://127.0.0.1:1/", cmd: exec.Command("sh", "-c", "echo address is taken >&2; exit 1")}
	require.ErrorContains(t, s.start(t.Context(), constant),
		"it ended before it served; its last words:\naddress is taken")
}
