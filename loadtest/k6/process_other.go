//go:build !linux

package k6

import "syscall"

// ownGroup keeps Ctrl-C at the terminal away from k6, which is interrupted by us, once.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
