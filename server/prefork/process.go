//go:build linux

package prefork

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// workerEnv marks a worker. Its value is the worker's slot; everything else is on the scoreboard.
const workerEnv = "RAMPART_WORKER"

// The descriptors a worker inherits.
const (
	fdSocket = 3 + iota
	fdControl
	fdBoard
	fdAboveInherited
)

// process is a worker as the master sees it. Only the master's goroutine touches it.
type process struct {
	slot       int
	generation uint64 // of the program and configuration it was started from
	cmd        *exec.Cmd
	control    *os.File
	started    time.Time
	ready      time.Time // zero: not yet
	retire     bool      // asked to be replaced
	leaving    bool      // was told to go
	closed     bool      // accepts no more
	killAt     time.Time // when SIGKILL is due; zero: not at all
	why        string    // why it was aborted; empty: it was not
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// abort ends a process that does not do what it should: SIGABRT for Go's dump of all goroutines,
// SIGKILL if that does not help. GOTRACEBACK stays what it is: its default shows every goroutine
// when a signal is fatal.
func (p *process) abort(now time.Time, why string) {
	p.why = why
	p.killBy(now.Add(forced))
	// A process that has ended already is not an error: its exit is on the way.
	_ = p.cmd.Process.Signal(unix.SIGABRT)
	_ = p.cmd.Process.Signal(unix.SIGCONT) // if it is stopped, it writes its dump now
}

// limited reports whether the limits of a worker in service still apply: not to one that was told
// to go or aborted already, for which killAt does.
func (p *process) limited() bool { return !p.leaving && p.why == "" }

// overdue says why killAt was set.
func (p *process) overdue() string {
	if p.why != "" {
		return "SIGABRT did not end it"
	}
	return "did not leave in time"
}

// killBy brings the time of SIGKILL forward to t.
func (p *process) killBy(t time.Time) {
	if p.killAt.IsZero() || t.Before(p.killAt) {
		p.killAt = t
	}
}

// openProgram opens a file that workers are started from. They are started from its descriptor, by
// its name in /proc/self/fd, so a worker that is replaced days later is the same build, even if the
// file has changed or is gone.
//
// The number is above those that a worker inherits, because between fork and exec these are put in
// place first and would cover it.
func openProgram(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("prefork: opening the program: %w", err)
	}
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, fdAboveInherited)
	if err != nil {
		return nil, fmt.Errorf("prefork: duplicating the program's descriptor: %w", err)
	}
	return os.NewFile(uintptr(fd), "program"), nil
}

// runningProgram is the program of this process, whatever lies under its name by now.
const runningProgram = "/proc/self/exe"

// programPath is the name under which a new build of this program will be found. It is the name
// that the program was called by, so that a symbolic link to a release may be changed to the next
// one; the name of the file itself if the program was called by something else.
func programPath() (string, error) {
	running, err := os.Stat(runningProgram)
	if err != nil {
		return "", fmt.Errorf("prefork: the running program: %w", err)
	}
	if name, err := exec.LookPath(os.Args[0]); err == nil {
		if called, err := os.Stat(name); err == nil && os.SameFile(called, running) {
			return filepath.Abs(name)
		}
	}
	return os.Executable()
}

// workerEnviron is the environment of the worker of a slot. A worker is meant to be one core's
// worth of serving: without GOMAXPROCS=1 each would keep threads spinning for work on cores that
// other workers use.
func workerEnviron(environ []string, slot int, log string) []string {
	if os.Getenv("GOMAXPROCS") == "" {
		environ = append(environ, "GOMAXPROCS=1")
	}
	if log != "" {
		environ = append(environ, logEnv+"="+log)
	}
	return append(environ, workerEnv+"="+strconv.Itoa(slot))
}

// spawn starts a worker process for a slot. It inherits this one's arguments, environment, stdout
// and stderr.
func (m *master) spawn(slot int) (_ *process, err error) {
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
	cmd := &exec.Cmd{
		Path:       fmt.Sprintf("/proc/self/fd/%d", m.current.program.Fd()),
		Args:       os.Args,
		Env:        workerEnviron(os.Environ(), slot, m.cfg.LogFile),
		Stdout:     os.Stdout,
		Stderr:     os.Stderr,
		ExtraFiles: []*os.File{fdSocket - 3: socket, fdControl - 3: theirs, fdBoard - 3: m.boardFile},
		// Its own process group: Ctrl-C goes to the whole foreground group, but only the master
		// shall hear of it, or a second one could not be told from the first.
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	if err := cmd.Start(); err != nil {
		mine.Close()
		return nil, fmt.Errorf("prefork: starting a worker: %w", err)
	}
	return &process{slot: slot, generation: m.current.number, cmd: cmd, control: mine, started: time.Now()}, nil
}

// awaitExit returns when the process has ended, and leaves it to be waited for. Until that is done
// its pid cannot become another process's.
func awaitExit(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}
