package main

import "syscall"

// ownGroup keeps Ctrl-C at the terminal away from a process, so that this one decides what ends when, and makes the
// process end when this one dies without a chance to stop it.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
