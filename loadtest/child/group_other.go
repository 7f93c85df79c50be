//go:build !linux

package child

import "syscall"

// ownGroup cannot ask for a signal at the death of the parent.
func ownGroup(syscall.Signal) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit reports that it cannot wait for the end of a child and leave it.
func awaitExit(int) bool { return false }
