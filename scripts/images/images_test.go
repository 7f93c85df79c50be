// Package images builds the images of server and client as anybody would, and tests them on the
// container engine of this machine: make docker. Where the builder's image is neither here nor to
// be had, a stand-in is made of this machine's Go.
package images

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// orphanEnv makes this test binary, in the server's process namespace, leave a child behind
// ("leave", "stay") and count the dead that nobody waited for ("count").
const orphanEnv = "IMAGES_TEST_ORPHAN"

func TestMain(m *testing.M) {
	switch os.Getenv(orphanEnv) {
	case "leave":
		child := exec.Command("/proc/self/exe")
		child.Env = []string{orphanEnv + "=stay"}
		if err := child.Start(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	case "stay":
		time.Sleep(100 * time.Millisecond)
		os.Exit(0)
	case "count":
		stats, _ := filepath.Glob("/proc/[0-9]*/stat")
		dead := 0
		for _, path := range stats {
			stat, _ := os.ReadFile(path) // gone meanwhile: not dead
			if bytes.Contains(stat, []byte(") Z ")) {
				dead++
			}
		}
		fmt.Println(dead)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const (
	key      = "the-key-of-this-test"
	maxBytes = 25e6
)

// lab is what the tests share: a prefix of all names, and what has to be taken away.
type lab struct {
	t      *testing.T
	ctx    context.Context // done at Ctrl-C
	id     string
	root   string
	base   string // GO_IMAGE
	layers []string
}

// layer is what the older builder says of each layer that it made.
var layer = regexp.MustCompile(`(?m)^ ---> ([0-9a-f]{12})$`)

// docker runs the engine's client and returns both outputs.
func (l *lab) docker(args ...string) (stdout, stderr string, err error) {
	return l.run(nil, "docker", args...)
}

func (l *lab) run(stdin io.Reader, name string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(l.ctx, name, args...)
	cmd.Dir = l.root
	cmd.Env = append(os.Environ(), "GO_IMAGE="+l.base)
	cmd.Stdin = stdin
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	for _, m := range layer.FindAllStringSubmatch(out.String(), -1) {
		l.layers = append(l.layers, m[1])
	}
	return out.String(), errs.String(), err
}

// must is docker where nothing may go wrong; it returns standard output without the end of its last
// line.
func (l *lab) must(args ...string) string {
	l.t.Helper()
	out, errs, err := l.docker(args...)
	require.NoError(l.t, err, "docker %s: %s%s", strings.Join(args, " "), out, errs)
	return strings.TrimSuffix(out, "\n")
}

func (l *lab) label() string { return "rampart.images=" + l.id }

// start runs a container in the background.
func (l *lab) start(args ...string) string {
	l.t.Helper()
	return l.must(append([]string{"run", "--detach", "--label", l.label()}, args...)...)
}

// foreground runs a container to its end and returns its outputs and its exit code.
func (l *lab) foreground(args ...string) (stdout, stderr string, code int) {
	l.t.Helper()
	stdout, stderr, err := l.docker(append([]string{"run", "--rm", "--label", l.label()}, args...)...)
	if exit, ok := err.(*exec.ExitError); ok {
		return stdout, stderr, exit.ExitCode()
	}
	require.NoError(l.t, err)
	return stdout, stderr, 0
}

// cleanup takes away containers, volumes and images, and of those without a name what the builder
// made.
func (l *lab) cleanup() {
	l.ctx = context.Background()
	ids, _, _ := l.docker("ps", "--all", "--quiet", "--filter", "label="+l.label())
	if ids := strings.Fields(ids); len(ids) > 0 {
		l.docker(append([]string{"rm", "--force", "--volumes"}, ids...)...)
	}
	l.docker("volume", "rm", "--force", l.id)
	l.docker("rmi", l.image("server"), l.image("client"), l.image("keyed"))
	for _, id := range slices.Backward(l.layers) {
		if tags, _, err := l.docker("image", "inspect", "--format", "{{len .RepoTags}}", id); err == nil && tags == "0\n" {
			l.docker("rmi", id) // refused where another image is made of it
		}
	}
	l.docker("rmi", l.image("base"))
	left, _, _ := l.docker("image", "ls", "--all", "--quiet", "--filter", "reference="+l.id+"*")
	require.Empty(l.t, left, "images are left")
}

func (l *lab) image(of string) string { return l.id + "-" + of }

// prepare makes the builder's image available.
func (l *lab) prepare() {
	dockerfile, err := os.ReadFile(filepath.Join(l.root, "server", "Dockerfile"))
	require.NoError(l.t, err)
	l.base = string(regexp.MustCompile(`(?m)^ARG GO_IMAGE=(.*)$`).FindSubmatch(dockerfile)[1])
	if _, _, err := l.docker("image", "inspect", l.base); err == nil {
		return
	}
	if _, _, err := l.docker("pull", "--quiet", l.base); err == nil {
		return
	}
	l.t.Logf("%s is not to be had: built on a stand-in from this machine's Go", l.base)
	read, write := io.Pipe()
	go func() {
		write.CloseWithError(standIn{tar: tar.NewWriter(write), root: l.root}.write())
	}()
	args := []string{"import"}
	for _, line := range environment {
		args = append(args, "--change", line)
	}
	out, errs, err := l.run(read, "docker", append(args, "-", l.image("base"))...)
	read.Close()
	require.NoError(l.t, err, "%s%s", out, errs)
	l.base = l.image("base")
}

func (l *lab) build(as, dockerfile string, args ...string) {
	l.t.Helper()
	start := time.Now()
	args = append([]string{"build", "--force-rm", "--file", dockerfile, "--tag", l.image(as),
		"--build-arg", "GO_IMAGE=" + l.base}, args...)
	l.must(append(args, ".")...)
	size, err := strconv.ParseFloat(l.must("image", "inspect", "--format", "{{.Size}}", l.image(as)), 64)
	require.NoError(l.t, err)
	l.t.Logf("%s: %.1f MB, built in %.0f s", as, size/1e6, time.Since(start).Seconds())
	require.Less(l.t, size, maxBytes)
	require.Equal(l.t, "65532:65532", l.must("image", "inspect", "--format", "{{.Config.User}}", l.image(as)))
}

// get asks a server by the port that the engine publishes on loopback.
func (l *lab) get(server, path, token string) (int, string) {
	l.t.Helper()
	req, err := http.NewRequestWithContext(l.ctx, "GET", "http://"+l.must("port", server, "80")+path, nil)
	require.NoError(l.t, err)
	req.Close = true
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(l.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(l.t, err)
	return resp.StatusCode, string(body)
}

// serve starts a server and waits until the engine finds it healthy.
func (l *lab) serve(image string, args ...string) string {
	l.t.Helper()
	args = append([]string{"--publish", "127.0.0.1::80", "--health-interval", "500ms"}, args...)
	id := l.start(append(args, l.image(image))...)
	l.until("it is healthy", func() bool {
		return l.must("inspect", "--format", "{{.State.Health.Status}}", id) == "healthy"
	})
	return id
}

func (l *lab) until(what string, done func() bool) {
	l.t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(50 * time.Millisecond) {
		require.True(l.t, time.Now().Before(end), "did not happen: %s", what)
	}
}

func (l *lab) workers(server string) int {
	l.t.Helper()
	code, body := l.get(server, "/admin/status", key)
	require.Equal(l.t, 200, code)
	var status struct{ Workers []struct{} }
	require.NoError(l.t, json.Unmarshal([]byte(body), &status))
	return len(status.Workers)
}

// stop stops a container and returns its exit code.
func (l *lab) stop(id, signal string) string {
	l.t.Helper()
	l.must("kill", "--signal", signal, id)
	return l.must("wait", id)
}

// table is the end of the client's output: the CSV, with a row at least.
const table = `\n\nvus,rps,resp_time,req_failed\n1,[0-9.]+,[0-9.]+,0\n(\d+,[0-9.]+,[0-9.]+,0\n)*\z`

func TestImages(t *testing.T) {
	if os.Getenv("IMAGES") == "" {
		t.Skip("needs a container engine: make docker")
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	l := &lab{t: t, ctx: ctx, id: fmt.Sprintf("rampart-images-%d", os.Getpid()), root: root}
	if _, errs, err := l.docker("version", "--format", "{{.Server.Version}}"); err != nil {
		fmt.Printf("SKIPPED: no container engine answers: %v %s\n", err, strings.TrimSpace(errs))
		t.SkipNow()
	}
	defer l.cleanup()
	l.prepare()
	l.build("server", "server/Dockerfile")
	l.build("keyed", "server/Dockerfile", "--build-arg", "SECRET_KEY="+key)
	l.build("client", "loadtest/Dockerfile")

	run := func(name string, f func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			l.t = t
			defer func() { l.t = t }()
			f(t)
		})
		l.t = t
	}
	cpus, err := strconv.Atoi(l.must("info", "--format", "{{.NCPU}}"))
	require.NoError(t, err)
	server := l.serve("server", "--env", "SECRET_KEY="+key)
	inside := []string{"--network", "container:" + server} // over the server's own loopback

	run("answers", func(t *testing.T) {
		code, body := l.get(server, "/?it1=52250&it2=123", "")
		require.Equal(t, 200, code)
		require.Regexp(t, `^Server: \S+\. Time: \d\d:\d\d:\d\d\. Computation took \S+ s\n$`, body)
		require.Equal(t, 2*cpus+1, l.workers(server))
		top := l.must("top", server, "-eo", "pid,uid,args")
		require.Len(t, regexp.MustCompile(`(?m)\s65532\s+/server$`).FindAllString(top, -1), 2*cpus+2, top)
		require.NotContains(t, top, key)
	})
	run("key", func(t *testing.T) {
		keyed, bare := l.serve("keyed"), l.serve("server")
		code, _ := l.get(keyed, "/admin/status", key)
		require.Equal(t, 200, code)
		code, _ = l.get(bare, "/admin/status", key)
		require.Equal(t, 404, code)
		require.NotContains(t, l.must("history", "--no-trunc", l.image("server")), key)
	})
	run("process 1 reaps strangers", func(t *testing.T) {
		self, err := os.Executable()
		require.NoError(t, err)
		as := func(what string) string {
			out, errs, code := l.foreground("--pid", "container:"+server, "--network", "none", "--env", orphanEnv+"="+what,
				"--volume", self+":/probe:ro", "--entrypoint", "/probe", l.image("client"))
			require.Zero(t, code, "%s%s", out, errs)
			return out
		}
		for range 3 {
			as("leave")
		}
		l.until("nobody is left dead", func() bool { return as("count") == "0\n" })
	})
	run("CPU limit", func(t *testing.T) {
		if l.must("info", "--format", "{{.CPUCfsQuota}}") != "true" {
			fmt.Println("SKIPPED: this engine cannot limit CPUs")
			t.SkipNow()
		}
		require.Equal(t, 3, l.workers(l.serve("server", "--cpus", "0.5", "--env", "SECRET_KEY="+key)))
		_, errs, code := l.foreground(append(inside, "--cpus", "0.1",
			"--env", "ITERATIONS=1000", "--env", "DURATION=1s", "--env", "MAX_VUS=1",
			l.image("client"))...)
		require.Zero(t, code)
		require.Contains(t, errs, "withheld by a CPU limit")
	})
	run("ramp", func(t *testing.T) {
		results := t.TempDir()
		out, errs, code := l.foreground(append(inside,
			"--user", fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()), "--volume", results+":/results",
			"--env", "SERVER=localhost", "--env", "ITERATIONS=80000", "--env", "DURATION=1s", "--env", "MAX_VUS=2",
			l.image("client"))...)
		require.Zero(t, code, "%s%s", out, errs)
		require.Regexp(t, `\AInjecting with 1 vus\. rps=[0-9.]+ resp_time=[0-9.]+ res_failed=0\n`, out)
		require.Regexp(t, table, out)
		for _, name := range []string{"ramp.csv", "bench.txt", "result.json", "report.html"} {
			require.FileExists(t, filepath.Join(results, "latest", name))
		}
	})
	run("benchmark", func(t *testing.T) {
		out, errs, code := l.foreground(append(inside, "--env", "VUS=1", "--env", "DURATION=200ms", l.image("client"),
			"-test.run", "^$", "-test.bench", "Level")...)
		require.Zero(t, code, "%s%s", out, errs)
		require.Regexp(t, `(?m)^BenchmarkLevel/vus=1\S*\s+1\s.* req/s`, out)
	})
	run("results that cannot be written", func(t *testing.T) {
		out, errs, code := l.foreground(append(inside, "--user", "12345",
			"--env", "MAX_VUS=1", "--env", "DURATION=200ms", l.image("client"))...)
		require.Equal(t, 1, code, "%s%s", out, errs)
		require.Contains(t, errs, "results go to this output only: folder for results")
		require.Regexp(t, table, out)
	})
	for _, signal := range []string{"TERM", "INT"} {
		run("client stopped by "+signal, func(t *testing.T) {
			id := l.start(append(inside, "--volume", l.id+":/results",
				"--env", "STOP=classic", "--env", "DURATION=2s", "--env", "WARMUP=0s", l.image("client"))...)
			l.until("a level", func() bool { return strings.Contains(l.must("logs", id), "Injecting with 1 vus") })
			require.Equal(t, "130", l.stop(id, signal))
			require.Regexp(t, table, l.must("logs", id)+"\n")
			dir := t.TempDir()
			l.must("cp", id+":/results/.", dir)
			csv, err := os.ReadFile(filepath.Join(dir, "latest", "ramp.csv"))
			require.NoError(t, err)
			require.Regexp(t, `\Avus,rps,resp_time,req_failed\n1,`, string(csv))
		})
	}
	run("compose", func(t *testing.T) {
		compose := []string{"docker", "compose"}
		if _, _, err := l.docker("compose", "version"); err != nil {
			compose = []string{"docker-compose"}
			if _, err := exec.LookPath("docker-compose"); err != nil {
				fmt.Println("SKIPPED: Compose is not installed")
				t.SkipNow()
			}
		}
		project := func(args ...string) (string, error) {
			args = append(append(compose[1:], "--project-name", l.id, "--file", "scripts/compose.yaml"), args...)
			out, errs, err := l.run(nil, compose[0], args...)
			return out + errs, err
		}
		defer func() {
			l.ctx = context.Background()
			out, err := project("down", "--volumes", "--rmi", "local")
			require.NoError(t, err, out)
			l.ctx = ctx
		}()
		t.Setenv("DURATION", "500ms")
		t.Setenv("MAX_VUS", "2")
		out, err := project("up", "--build", "--exit-code-from", "client")
		require.NoError(t, err, out)
		require.Contains(t, out, "Injecting with 1 vus.")
		require.Regexp(t, `vus,rps,resp_time,req_failed\W*\n.*\W1,[0-9.]+,[0-9.]+,0`, out)
	})
	for _, signal := range []string{"TERM", "INT"} {
		run("server stopped by "+signal, func(t *testing.T) {
			id := l.serve("server")
			require.Equal(t, "0", l.stop(id, signal))
		})
	}
}
