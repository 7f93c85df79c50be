//go:build !linux

package loadtest

import "syscall"

// ownGroup keeps Ctrl-C at the terminal away from a server, so that the experiment ends first.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
