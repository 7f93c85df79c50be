package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The test binary is also the program, and with that the server.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "-serve" || os.Args[1] == "-client") {
		main()
	}
	os.Exit(m.Run())
}

func buildClient(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "client")
	out, err := exec.Command("go", "test", "-c", "-tags=load", "-o", path, "rampart/loadtest").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// left lists what this program may leave behind.
func left(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(os.TempDir(), "rampart-clients-*"))
	require.NoError(t, err)
	namespaces, err := filepath.Glob("/run/netns/rampart-*")
	require.NoError(t, err)
	return append(files, namespaces...)
}

func TestClients(t *testing.T) {
	client := buildClient(t)
	t.Setenv("TMPDIR", t.TempDir())
	before := left(t)
	for _, mode := range []string{"-plain=true", "-plain=false"} { // without root the second is plain as well, and says so
		var stdout, stderr bytes.Buffer
		args := []string{"-client", client, "-rounds", "1", "-duration", "300ms", "-vus", "4", "-clients", "2", mode}
		code := run(args, &stdout, &stderr)
		require.Equal(t, exitOK, code, "%s%s", &stdout, &stderr)
		require.Regexp(t, `\n\| 1 \|( [0-9.]+ \|){4} \S+ \| 0\.\d\d, 0\.\d\d, 0\.\d\d \|\n\| median \|`, stdout.String())
		if mode == "-plain=true" || os.Geteuid() != 0 {
			require.Contains(t, stderr.String(), "server and clients share loopback")
		}
		require.Equal(t, before, left(t))
	}
}

// TestInterrupt sends what Ctrl-C sends, while clients wait for their start or load.
func TestInterrupt(t *testing.T) {
	client := buildClient(t)
	t.Setenv("TMPDIR", t.TempDir())
	before := left(t)
	cmd := exec.Command(os.Args[0], "-client", client, "-duration", "1m")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = stdout.Read(make([]byte, 1)) // the heading: server and namespaces are there
	require.NoError(t, err)
	time.Sleep(300 * time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, exitInterrupted, exit.ExitCode(), "%s", &stderr)
	require.Equal(t, before, left(t))
}

func TestSettingsRefuse(t *testing.T) {
	for args, want := range map[string]string{
		"-clients 0": "want 1 to 200", "-vus 10": "want a multiple of the 3 clients",
		"-rounds 0": "want 1 or more", "x": "unexpected",
		"-duration 1ms": "want 10ms or more",
	} {
		var stderr bytes.Buffer
		require.Equal(t, exitUsage, run(strings.Fields(args), &stderr, &stderr))
		require.Contains(t, stderr.String(), want)
	}
}

func TestMedianAndRequired(t *testing.T) {
	rounds := []round{
		{ratios: [4]float64{1, 0.9, 1.2, 1}, skew: time.Millisecond, cores: []float64{0.3}},
		{ratios: [4]float64{1.1, 1, 1.04, 0.96}, skew: 2 * time.Millisecond, cores: []float64{0.1}},
		{ratios: [4]float64{0.9, 1.1, 1, 0.9}, cores: []float64{0.2}},
	}
	m := median(rounds)
	require.Equal(t, round{ratios: [4]float64{1, 1, 1.04, 0.96}, skew: 2 * time.Millisecond, cores: []float64{0.2}}, m)
	require.EqualError(t, m.required(), "required: merged p95 is off by +4.0 %, at most 3 % are allowed\n"+
		"required: merged p99 is off by -4.0 %, at most 3 % are allowed")
	require.Equal(t, "| 2 | 1.100 | 1.000 | 1.040 | 0.960 | 2ms | 0.10 |\n", rounds[1].row("2"))
}
