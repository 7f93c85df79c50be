package k6

import "syscall"

// ownGroup keeps Ctrl-C at the terminal away from k6, which is interrupted by us, once, and makes it end when this process
// dies without a chance to stop it.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
