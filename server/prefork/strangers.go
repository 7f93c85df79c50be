//go:build linux

package prefork

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// adopts reports whether the kernel gives this process the children that others leave behind when
// they end: as process 1 of a container, or as a subreaper (PR_SET_CHILD_SUBREAPER(2const)).
func adopts() bool {
	var subreaper int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&subreaper)), 0, 0, 0)
	return os.Getpid() == 1 || err == nil && subreaper != 0
}

// reapStrangers waits for the dead among the adopted: else they would stay in the table of
// processes until this one ends. It looks at who has died before it takes anyone. Of a worker it
// leaves everything to reap, after which it is called again, because the kernel shows nobody else
// before that.
func (m *master) reapStrangers() {
	for m.adopts {
		var info unix.Siginfo
		switch err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); err {
		case nil:
		case unix.EINTR:
			continue
		default: // ECHILD: there are no children
			return
		}
		pid := diedPID(&info)
		if pid == 0 || m.employs(pid) {
			return
		}
		var status unix.WaitStatus
		if _, err := unix.Wait4(pid, &status, unix.WNOHANG, nil); err != nil {
			return
		}
		m.cfg.Log.Debug("reaped a stranger", "pid", pid)
	}
}

// diedPID is the process that waitid found, 0 if it found none. Package unix has no name for the
// field.
func diedPID(info *unix.Siginfo) int {
	return int((*struct {
		_     [3]int32 // signo, errno, code
		child struct {
			_   [0]uintptr // what follows is aligned for a pointer
			pid int32
		}
	})(unsafe.Pointer(info)).child.pid)
}

func (m *master) employs(pid int) bool {
	if m.successor != nil && m.successor.cmd.Process.Pid == pid {
		return true
	}
	for _, s := range m.slots {
		if s.process != nil && s.process.pid() == pid {
			return true
		}
	}
	return false
}
