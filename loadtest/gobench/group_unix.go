//go:build unix

package gobench

import (
	"os/exec"
	"syscall"
)

// ownGroup gives a process a group of its own: Ctrl-C is for this program to see, and what the
// process starts is ended with it.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// kill ends the group of a process that has not been waited for.
func kill(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
