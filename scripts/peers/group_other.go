//go:build !linux

package main

import "syscall"

// ownGroup keeps Ctrl-C at the terminal away from a process, so that this one decides what ends when.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// maxrssUnit is the unit of ru_maxrss in bytes, on Apple's systems.
const maxrssUnit = 1
