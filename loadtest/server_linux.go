package loadtest

import "syscall"

// ownGroup keeps Ctrl-C at the terminal away from a server, so that the experiment ends first, and makes the server end
// when this process dies without a chance to stop it.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
