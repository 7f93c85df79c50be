//go:build !linux

package main

import "syscall"

// ownGroup keeps Ctrl-C at the terminal away from a process, so that this one decides what ends when.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
