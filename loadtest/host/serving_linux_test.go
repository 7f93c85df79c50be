package host

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// roleEnv makes this test binary another process.
const roleEnv = "RAMPART_TEST_ROLE"

func TestMain(m *testing.M) {
	role, address, _ := strings.Cut(os.Getenv(roleEnv), " ")
	if role == "forgetful" {
		signal.Ignore(syscall.SIGCHLD)
		role = address
	}
	switch role {
	case "":
		os.Exit(m.Run())
	case "parent":
		cmd := exec.Command("sleep", "100")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		check(cmd.Start())
		fmt.Println("ready")
		select {}
	case "meter": // says what it can know of the server at address
		used, err := ServerCPU(address, Launch{})()
		fmt.Println(used, err)
	case "serve": // listens, and uses 100 ms for each connection
		if os.Getenv(codeEnv) != "" {
			mapCode()
		}
		l, err := net.Listen("tcp", address)
		check(err)
		fmt.Println(l.Addr())
		for {
			c, err := l.Accept()
			check(err)
			burn(100 * time.Millisecond)
			c.Close()
		}
	case "detach", "detach-and-use": // starts a server that is nobody's child, and says its address and process
		cmd := exec.Command("sh", "-c", os.Args[0]+" & echo $!")
		cmd.Env = append(os.Environ(), roleEnv+"=serve 127.0.0.1:0")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		out, err := cmd.StdoutPipe()
		check(err)
		check(cmd.Start())
		lines := bufio.NewScanner(out)
		var words []string
		for range 2 {
			lines.Scan()
			words = append(words, lines.Text())
		}
		check(cmd.Wait())
		fmt.Println(strings.Join(words, " "))
		for role == "detach-and-use" {
			burn(10 * time.Millisecond)
		}
		select {}
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// burn uses processor time.
func burn(d time.Duration) {
	begun, err := OwnCPU()
	check(err)
	for now := begun; now-begun < d; {
		now, err = OwnCPU()
		check(err)
	}
}

// endGroup makes a command the first of a group that ends with the test.
func endGroup(t *testing.T, cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	})
}

// play starts this test binary in a role and returns the words that it says first.
func play(t *testing.T, role string, env ...string) (*exec.Cmd, []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), roleEnv+"="+role), env...)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	endGroup(t, cmd)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	return cmd, strings.Fields(lines.Text())
}

// ask makes a server use 100 ms.
func ask(t *testing.T, address string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err, "it closes")
	c.Close()
}

// requireUse holds that a meter sees the use of 100 ms for a connection to a server.
func requireUse(t *testing.T, meter Meter, address string) {
	t.Helper()
	before, err := meter()
	require.NoError(t, err)
	ask(t, address)
	after, err := meter()
	require.NoError(t, err)
	require.InDelta(t, 0.1, (after - before).Seconds(), 0.05)
}

func TestServerCPU(t *testing.T) {
	cmd, words := play(t, "serve 127.0.0.1:0")
	requireUse(t, ServerCPU(words[0], Launch{}), words[0])
	requireUse(t, ServerCPU(words[0], Launch{PID: cmd.Process.Pid}), words[0])
}

// TestServerIsNoChild meters servers that are children of somebody else, as those that docker run
// starts.
func TestServerIsNoChild(t *testing.T) {
	end := func(words []string) {
		pid, err := strconv.Atoi(words[0])
		require.NoError(t, err)
		t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
	}
	cmd, words := play(t, "detach")
	end(words)
	requireUse(t, ServerCPU(words[1], Launch{PID: cmd.Process.Pid}), words[1])

	cmd, words = play(t, "detach-and-use")
	end(words)
	meter := ServerCPU(words[1], Launch{PID: cmd.Process.Pid})
	_, err := meter()
	require.NoError(t, err)
	ask(t, words[1])
	_, err = meter()
	require.ErrorContains(t, err, "does not serve")
}

// TestHelperIsCounted holds that a server cannot hide what a process does for it that has left its
// tree.
func TestHelperIsCounted(t *testing.T) {
	_, words := play(t, "serve 127.0.0.1:0")
	const mark = "RAMPART_TEST_MARK=helper"
	_, helper := play(t, "detach", mark)
	pid, err := strconv.Atoi(helper[0])
	require.NoError(t, err)
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
	requireUse(t, ServerCPU(words[0], Launch{Mark: mark}), helper[1])
}

func TestServerAboveTheClient(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, words := play(t, "meter "+l.Addr().String())
	require.Contains(t, strings.Join(words, " "), "descends from it")
	_, err = ServerCPU(l.Addr().String(), Launch{})()
	require.ErrorContains(t, err, "this process itself serves")

	path := filepath.Join(t.TempDir(), "a socket")
	socket, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer socket.Close()
	_, words = play(t, "meter "+path)
	require.Contains(t, strings.Join(words, " "), "descends from it")
	_, err = ServerCPU(path+"2", Launch{})()
	require.ErrorIs(t, err, errNobody)
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l.Close()
	_, err = ServerCPU(l.Addr().String(), Launch{})()
	require.ErrorIs(t, err, errNobody)
	_, err = ServerCPU("192.0.2.1:80", Launch{})()
	require.ErrorIs(t, err, errRemote)
}

// TestWhoServes holds whose processor time is a server's, of those who hold its sockets.
func TestWhoServes(t *testing.T) {
	const self = 100
	all := []process{
		someProcess(1, 0, "systemd"), someProcess(50, 1, "sh"), someProcess(self, 50, "client"),
		someProcess(60, 1, "docker-proxy"), someProcess(70, 1, "server"), someProcess(71, 70, "server"),
		someProcess(72, 1, "worker"),
		someProcess(80, 1, "systemd"), someProcess(101, self, "server"),
	}
	listening, accepted := socket{"1", true}, socket{"2", false}
	for name, tt := range map[string]struct {
		listens, accepted []int // processes
		want              []int
		err               string
	}{
		"a server":                           {[]int{70}, nil, []int{70}, ""},
		"workers of a master":                {[]int{70, 71}, []int{71}, []int{70, 71}, ""},
		"a worker that is no child":          {[]int{70}, []int{72}, []int{70, 72}, ""},
		"started by this process":            {[]int{101}, []int{101}, []int{101}, ""},
		"socket activation":                  {[]int{1, 70}, []int{70}, []int{70}, ""},
		"activation by the user's systemd":   {[]int{80, 70}, nil, []int{70}, ""},
		"not yet activated":                  {[]int{1}, nil, nil, "process 1 or systemd holds the socket"},
		"process 1 serves":                   {[]int{1, 70}, []int{1}, nil, "serves, and this process descends"},
		"this process":                       {[]int{self}, nil, nil, "this process itself serves"},
		"a process above":                    {[]int{50}, nil, nil, "descends from it"},
		"a process above, and others":        {[]int{50, 70}, []int{70}, nil, "descends from it"},
		"a forwarder":                        {[]int{60}, []int{60}, nil, "docker-proxy (process 60) passes requests on"},
		"nobody that can be seen":            {nil, nil, nil, "another user's process"},
		"nobody but one who has connections": {nil, []int{70}, nil, "another user's process"},
	} {
		t.Run(name, func(t *testing.T) {
			found := make(map[socket][]process)
			for s, pids := range map[socket][]int{listening: tt.listens, accepted: tt.accepted} {
				for _, pid := range pids {
					found[s] = append(found[s], tree(all, []int{pid})[0])
				}
			}
			got, err := servers(all, []socket{listening, accepted}, found, self)
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}
