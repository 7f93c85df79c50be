//go:build !unix

package gobench

import "os/exec"

func ownGroup(*exec.Cmd) {}

// kill ends a process that has not been waited for.
func kill(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
