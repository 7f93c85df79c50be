//go:build linux

package prefork

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestUpgradesUnderLoad(t *testing.T) {
	t.Parallel()
	upgrades := often(3, 20)
	build, pidPath := newBuild(t), filepath.Join(t.TempDir(), "pid")
	config := configText(t, Config{Workers: 2, Counters: 1, Gauges: 1, PIDFile: pidPath})
	s := startProgram(t, build.path, config).listening()
	clients := s.startClients(6, "/pid", thinking)
	master := s.cmd.Process.Pid
	before := descriptors(t, master)
	for n := range upgrades {
		require.Equal(t, strconv.Itoa(master)+"\n", readFile(t, pidPath))
		build.rebuild()
		require.NoError(t, syscall.Kill(master, unix.SIGUSR2))
		eventually(t, "upgraded", func() bool {
			return strings.Count(s.text(), `msg="upgraded: this master leaves"`) == n+1
		})
		old := master
		master = s.successors()[n]
		eventually(t, "the old master is gone", func() bool { return !alive(old) })
	}
	require.Equal(t, 0, s.wait())
	clients.end()
	require.Equal(t, strconv.Itoa(master)+"\n", readFile(t, pidPath))
	require.Equal(t, strconv.Itoa(build.size), s.get("/build"))
	status := s.shared().Status
	require.Equal(t, master, status.MasterPID)
	require.Len(t, status.Workers, 2)
	eventually(t, "no descriptor is left over", func() bool { return descriptors(t, master) <= before })
	require.NoError(t, syscall.Kill(master, unix.SIGTERM))
	eventually(t, "it stops", func() bool { return !alive(master) })
	require.NoFileExists(t, pidPath)
	_, err := net.Dial("tcp", s.addr)
	require.ErrorIs(t, err, unix.ECONNREFUSED)
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// A new master that does not come to serve leaves the old one as it was.
func TestUpgradeThatFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		build, trick string
		reason       []string
	}{
		"not a program":   {build: "neither", reason: []string{"upgrade failed", "exec format error"}},
		"exits":           {build: "#!/bin/sh\nexit 9\n", reason: []string{"upgrade failed", "exit status 9"}},
		"its workers end": {trick: "exit", reason: []string{"upgrade failed", fmt.Sprintf("exit status %d", exitBoot)}},
		"its workers do hang": {trick: "hang", reason: []string{"upgrade failed",
			"it does not serve after " + (2 * shortBoot).String()}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			build, pidPath := newBuild(t), filepath.Join(t.TempDir(), "pid")
			trick := filepath.Join(t.TempDir(), "trick")
			boot := defaultBootTimeout
			if c.trick == "hang" {
				boot = shortBoot
			}
			s := startProgram(t, build.path, configText(t, Config{Workers: 1, Counters: 1, Gauges: 1, PIDFile: pidPath,
				BootTimeout: boot}), trickEnv+"="+trick).listening()
			clients := s.startClients(4, "/count", thinking)
			size := build.size
			if c.build != "" {
				build.replace(c.build)
			}
			if c.trick != "" {
				require.NoError(t, os.WriteFile(trick, []byte(c.trick), 0o600))
			}
			s.signal(unix.SIGUSR2)
			s.waitLog(c.reason...)
			require.Equal(t, strconv.Itoa(s.cmd.Process.Pid)+"\n", readFile(t, pidPath))
			require.Equal(t, strconv.Itoa(size), s.get("/build"))
			clients.end()
			if c.trick != "" {
				require.Contains(t, s.shared().Status.LastReload.Error, "upgrade: ")
				require.NoError(t, os.Remove(trick))
			}
			build.rebuild()
			s.signal(unix.SIGUSR2)
			require.Equal(t, 0, s.wait(), "the next upgrade is not held up")
			require.Equal(t, strconv.Itoa(build.size), s.get("/build"))
		})
	}
}

func TestStopDuringUpgrade(t *testing.T) {
	t.Parallel()
	trick := filepath.Join(t.TempDir(), "trick")
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1}, trickEnv+"="+trick)
	require.NoError(t, os.WriteFile(trick, []byte("hang"), 0o600))
	s.signal(unix.SIGUSR2)
	s.waitLog("hanging")
	s.signal(unix.SIGUSR2)
	s.waitLog("upgrade refused", "one is under way")
	slow := s.dial(wire("/sleep?d=300ms"))
	s.signal(unix.SIGTERM)
	require.Equal(t, 0, s.wait())
	answer := make([]byte, 15)
	_, err := slow.Read(answer)
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 200 OK", string(answer))
	eventually(t, "the new master is gone", func() bool { return !alive(s.successors()[0]) })
}

func TestPIDFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	own := strconv.Itoa(os.Getpid()) + "\n"

	require.NoError(t, os.WriteFile(path, []byte("4194300000\n"), 0o600)) // stale, and longer than what comes
	p, err := openPIDFile(path)
	require.NoError(t, err)
	require.Equal(t, "4194300000\n", readFile(t, path), "until it serves")
	require.NoError(t, p.write())
	require.Equal(t, own, readFile(t, path))
	_, err = openPIDFile(path)
	require.ErrorContains(t, err, "is held by a master that runs (pid "+strconv.Itoa(os.Getpid())+")")
	p.release()
	require.NoFileExists(t, path)

	p, err = openPIDFile(path)
	require.NoError(t, err)
	p.release()
	require.NoFileExists(t, path, "made for nothing")

	p, err = openPIDFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte("1\n"), 0o600)) // a successor's
	p.release()
	require.Equal(t, "1\n", readFile(t, path))

	for _, foreign := range []string{"user nginx;", strings.Repeat("1", 100)} {
		require.NoError(t, os.WriteFile(path, []byte(foreign), 0o600))
		_, err = openPIDFile(path)
		require.ErrorContains(t, err, "no process id")
		require.Equal(t, foreign, readFile(t, path))
	}
	_, err = openPIDFile(t.TempDir() + "/nowhere/pid")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, (*pidFile)(nil).write())
	(*pidFile)(nil).release()
}

func TestPIDFileInUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	s := startServer(t, Config{Workers: 1, PIDFile: path})
	other := startMaster(t, Config{Workers: 1, PIDFile: path})
	require.Equal(t, exitFailed, other.wait())
	other.waitLog(fmt.Sprintf("(pid %d)", s.cmd.Process.Pid))
	s.signal(unix.SIGKILL) // leaves the file, and the lock goes when its workers have gone, too
	s.wait()
	eventually(t, "its worker leaves", func() bool { return !alive(s.pidsStarted()[0]) })
	third := startServer(t, Config{Workers: 1, PIDFile: path})
	require.Equal(t, strconv.Itoa(third.cmd.Process.Pid)+"\n", readFile(t, path))
}

// A process without workers has one as well.
func TestPIDFileOfAProcessAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	s := startServer(t, Config{Workers: 0, PIDFile: path})
	require.Equal(t, strconv.Itoa(s.cmd.Process.Pid)+"\n", readFile(t, path))
	other := startMaster(t, Config{Workers: 0, PIDFile: path})
	require.Equal(t, exitFailed, other.wait())
	other.waitLog("is held by a master that runs")
	s.signal(unix.SIGTERM)
	require.Equal(t, 0, s.wait())
	require.NoFileExists(t, path)
}

// underSystemd starts a master with a socket as systemd passes it. pid is a word of the shell.
func underSystemd(t *testing.T, pid string) (s *server, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	file, err := l.(*net.TCPListener).File() // makes it blocking when it is passed on, as systemd's are
	require.NoError(t, err)
	require.NoError(t, l.Close())
	exe, err := os.Executable()
	require.NoError(t, err)
	args := append([]string{"-c", "LISTEN_PID=" + pid + ` LISTEN_FDS=1 exec "$0" "$@"`, exe}, os.Args[1:]...)
	cmd := exec.Command("sh", args...)
	cmd.ExtraFiles = []*os.File{file}
	s = startCommand(t, cmd, configText(t, Config{Workers: 1, Counters: 1, Gauges: 1})).listening()
	require.NoError(t, file.Close())
	return s, l.Addr().String()
}

func TestSocketActivation(t *testing.T) {
	t.Parallel()
	s, addr := underSystemd(t, "$$")
	require.Equal(t, addr, s.addr)
	clients := s.startClients(4, "/sleep?d=1ms", thinking)
	s.signal(unix.SIGTERM)
	require.Equal(t, 0, s.wait())
	clients.group.Wait()
	clients.end()
}

func TestSocketOfAnotherProcessIsLeftAlone(t *testing.T) {
	t.Parallel()
	s, addr := underSystemd(t, "1")
	require.NotEqual(t, addr, s.addr)
	require.NotEmpty(t, s.get("/pid"))
}

// notifications is a socket on which systemd would listen.
type notifications struct {
	t *testing.T
	*net.UnixConn
}

func newNotifications(t *testing.T) (n notifications, env string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return notifications{t, c}, "NOTIFY_SOCKET=" + path
}

func (n notifications) read(until time.Time) (string, error) {
	n.t.Helper()
	require.NoError(n.t, n.SetReadDeadline(until))
	buf := make([]byte, 1000)
	size, err := n.Read(buf)
	return string(buf[:size]), err
}

// next waits for the next state that is told.
func (n notifications) next() string {
	n.t.Helper()
	told, err := n.read(time.Now().Add(late))
	require.NoError(n.t, err)
	return told
}

// skip takes what was told until now.
func (n notifications) skip() {
	n.t.Helper()
	for err := error(nil); err == nil; {
		_, err = n.read(time.Now().Add(10 * time.Millisecond))
	}
}

func TestSystemdIsTold(t *testing.T) {
	t.Parallel()
	told, env := newNotifications(t)
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1}, env)
	require.Equal(t, "READY=1", told.next())
	s.signal(unix.SIGHUP)
	require.Regexp(t, `^RELOADING=1\nMONOTONIC_USEC=\d+\n$`, told.next())
	require.Equal(t, "READY=1", told.next())
	s.signal(unix.SIGUSR2)
	// The new master says so for itself as well; systemd heeds who is the main process.
	both := []string{told.next(), told.next()}
	slices.Sort(both)
	require.Equal(t, []string{fmt.Sprintf("MAINPID=%d", s.successors()[0]), "READY=1"}, both)
	require.Equal(t, 0, s.wait())
	require.NoError(t, syscall.Kill(s.successors()[0], unix.SIGTERM))
	require.Equal(t, "STOPPING=1", told.next())
}

func TestWatchdogIsFedWhileWorkersServe(t *testing.T) {
	t.Parallel()
	told, env := newNotifications(t)
	trick := filepath.Join(t.TempDir(), "trick")
	s := startServer(t, Config{Workers: 1, Counters: 1, Gauges: 1}, env, "WATCHDOG_USEC=200000", trickEnv+"="+trick)
	require.Equal(t, "READY=1", told.next())
	start := time.Now()
	for range 15 {
		require.Equal(t, "WATCHDOG=1", told.next())
	}
	require.Greater(t, time.Since(start), time.Second, "every 100 ms, less what was said before this test came to listen")
	require.NoError(t, os.WriteFile(trick, nil, 0o600)) // nobody comes up any more
	require.NoError(t, syscall.Kill(s.pidsStarted()[0], unix.SIGKILL))
	s.waitLog("worker died")
	told.skip()
	s.waitLog("will be started again", "failures=5")
	s.signal(unix.SIGTERM)
	require.Equal(t, "STOPPING=1", told.next(), "while nobody served, for at least 750 ms")
}

// As process 1 of a namespace: it reaps strangers, hears signals, and does not leave when it is
// asked to upgrade.
func TestAsProcess1(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe, os.Args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWPID | unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	if probe := (&exec.Cmd{Path: "/bin/true", SysProcAttr: cmd.SysProcAttr}); probe.Run() != nil {
		t.Skip("a namespace of processes cannot be made here")
	}
	s := startCommand(t, cmd, configText(t, Config{Workers: 1, Counters: 1, Gauges: 1}))
	s.namespace = true
	s.listening()
	status := s.shared().Status
	require.Equal(t, 1, status.MasterPID)
	s.get("/orphan")
	s.waitLog("reaped a stranger")
	s.signal(unix.SIGHUP)
	s.waitLog("msg=reloaded")
	s.signal(unix.SIGUSR2)
	s.waitLog("upgrade refused", "process 1 cannot leave")
	clients := s.startClients(4, "/sleep?d=1ms", thinking)
	s.signal(unix.SIGTERM)
	require.Equal(t, 0, s.wait())
	clients.group.Wait()
	clients.end()
}
