//go:build linux

package prefork

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// successorEnv marks a master that takes over from another one. What it inherits is where a
// worker's things would be; its value says whether there is a pid file among them.
const (
	successorEnv = "RAMPART_SUCCESSOR"
	withPIDFile  = "pidfile"

	fdPIDFile = fdBoard
)

// inheritance is what a master does not have to make itself.
type inheritance struct {
	socket      int      // listening; -1: none
	addr        net.Addr // of socket
	predecessor *os.File // wants to hear that this master serves; nil: none
	pidFile     *pidFile // nil: none
}

// inherit takes over what the master before this one, or else systemd (sd_listen_fds(3)), has left.
func inherit(pidPath string) (in inheritance, err error) {
	in.socket = -1
	value, marked := os.LookupEnv(successorEnv)
	os.Unsetenv(successorEnv)
	passed := activation.Files(true)
	defer func() {
		for _, f := range passed {
			f.Close()
		}
	}()
	switch {
	case marked:
		for fd := fdSocket; fd < fdAboveInherited; fd++ {
			unix.CloseOnExec(fd)
		}
		passed = []*os.File{os.NewFile(fdSocket, "listener")}
		in.predecessor = os.NewFile(fdControl, "control")
		if value == withPIDFile {
			in.pidFile = &pidFile{path: pidPath, file: os.NewFile(fdPIDFile, pidPath)}
		}
	case len(passed) > 1:
		return in, fmt.Errorf("prefork: %d sockets were passed (LISTEN_FDS): there must be one", len(passed))
	case len(passed) == 0:
		return in, nil
	}
	in.socket, in.addr, err = adoptSocket(passed[0])
	return in, err
}

// adoptSocket returns a copy of a socket that another process listens on, and its address. It is
// made non-blocking, which holds for all copies.
func adoptSocket(f *os.File) (int, net.Addr, error) {
	l, err := net.FileListener(f)
	if err != nil {
		return -1, nil, fmt.Errorf("prefork: the socket that was passed cannot be listened on: %w", err)
	}
	defer l.Close()
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return -1, nil, fmt.Errorf("prefork: the socket that was passed is of %s: it must be one of TCP", l.Addr().Network())
	}
	fd, err := bareSocket(tcp)
	return fd, l.Addr(), err
}

// successor is a master that is to take over from this one.
type successor struct {
	cmd     *exec.Cmd
	control *os.File
	giveUp  time.Time // when it must serve
	killAt  time.Time // zero: not to be killed
	serves  bool
	why     string // why it was ended; empty: it was not
}

// upgrade starts a master from the program on disk. This one goes on until that one serves.
func (m *master) upgrade(now time.Time) {
	refuse := func(why string) { m.cfg.Log.Error("upgrade refused", "reason", why) }
	switch {
	case os.Getpid() == 1:
		refuse("process 1 cannot leave: reload the workers with SIGHUP")
		return
	case m.successor != nil:
		refuse(fmt.Sprintf("one is under way (pid %d)", m.successor.cmd.Process.Pid))
		return
	case !m.serving:
		refuse("the first start is not over")
		return
	}
	s, err := m.startSuccessor(now)
	if err != nil {
		m.cfg.Log.Error("upgrade failed: this master goes on", "reason", err.Error())
		return
	}
	m.successor = s
	m.cfg.Log.Info("upgrading", "successor", s.cmd.Process.Pid, "program", m.path)
	tell := func(r report) {
		select {
		case m.succession <- r:
		case <-m.done:
		}
	}
	go receive(s.control, tell)
	go func() {
		awaitExit(s.cmd.Process.Pid)
		tell(0)
	}()
}

func (m *master) startSuccessor(now time.Time) (*successor, error) {
	socket, err := handout(m.socket, "listener")
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	mine, theirs, err := controlPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	files, value := []*os.File{fdSocket - 3: socket, fdControl - 3: theirs}, ""
	if m.pidFile != nil {
		files, value = append(files, m.pidFile.file), withPIDFile
	}
	// The pid of a watchdog's client (sd_watchdog_enabled(3)) is this one's.
	environ := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "WATCHDOG_PID=") })
	cmd := &exec.Cmd{
		Path:       m.path,
		Args:       os.Args,
		Env:        append(environ, successorEnv+"="+value),
		Stdout:     os.Stdout,
		Stderr:     os.Stderr,
		ExtraFiles: files,
	}
	if err := cmd.Start(); err != nil {
		mine.Close()
		return nil, fmt.Errorf("prefork: starting the new master: %w", err)
	}
	return &successor{cmd: cmd, control: mine, giveUp: now.Add(2 * m.cfg.BootTimeout)}, nil
}

// succeeded does what follows a report of the new master, or its end.
func (m *master) succeeded(r report) {
	s := m.successor
	switch {
	case s == nil: // its last report came late
	case r == reportReady && m.phase == running:
		s.serves = true
		s.control.Close()
		m.cfg.Log.Info("upgraded: this master leaves", "successor", s.cmd.Process.Pid)
		m.notify(fmt.Sprintf("MAINPID=%d", s.cmd.Process.Pid))
		m.leave(time.Now())
	case r == 0:
		err := s.cmd.Wait()
		s.control.Close()
		m.successor = nil
		if s.serves {
			m.cfg.Log.Error("the new master ended while this one leaves", "status", s.cmd.ProcessState.String())
			return
		}
		why := s.cmd.ProcessState.String()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			why = err.Error()
		}
		if s.why != "" {
			why += "; " + s.why
		}
		m.cfg.Log.Error("upgrade failed: this master goes on", "reason", why)
		m.reloadEnded("upgrade: " + why)
	}
}

// checkSuccessor ends a new master that takes too long.
func (m *master) checkSuccessor(now time.Time) {
	s := m.successor
	switch {
	case s == nil || s.serves:
	case !s.killAt.IsZero():
		if !now.Before(s.killAt) {
			s.killAt = time.Time{}
			_ = s.cmd.Process.Kill() // its workers leave without it
		}
	case s.why == "" && !now.Before(s.giveUp):
		m.dropSuccessor(now, fmt.Sprintf("it does not serve after %s", 2*m.cfg.BootTimeout))
	}
}

// dropSuccessor ends a new master that does not serve yet.
func (m *master) dropSuccessor(now time.Time, why string) {
	if s := m.successor; s != nil && !s.serves && s.why == "" {
		s.why = why
		s.killAt = now.Add(forced)
		_ = s.cmd.Process.Signal(unix.SIGINT)
	}
}

// leave lets the workers go, and this master with them, while another one serves on the same
// socket: so the queue is left alone, and nobody is refused.
func (m *master) leave(now time.Time) {
	m.phase = stoppingGracefully
	for i := range m.slots {
		s := &m.slots[i]
		switch p := s.process; {
		case p == nil:
			s.startAt = time.Time{}
			m.board.setState(i, stateFree)
		case p.ready.IsZero():
			m.dismiss(p, orderQuick, now)
		case !p.leaving:
			m.dismiss(p, orderLeave, now)
		}
	}
	m.closeSocket()
}
