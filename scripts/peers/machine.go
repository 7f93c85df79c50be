package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// thisMachine says what ratios may depend on: processor, their number, kernel, and the Go that the
// client was built with.
func thisMachine() string {
	cpu := runtime.GOARCH
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if name := cpuName(info); name != "" {
			cpu = name
		}
	}
	system := runtime.GOOS
	var name unix.Utsname
	if err := unix.Uname(&name); err == nil {
		system = unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
	}
	return fmt.Sprintf("%s, %d CPUs, %s, %s", cpu, runtime.NumCPU(), system, runtime.Version())
}

// cpuName is the name that /proc/cpuinfo gives the first processor, empty where it gives none.
func cpuName(info []byte) string {
	for line := range bytes.Lines(info) {
		if key, value, ok := bytes.Cut(line, []byte(":")); ok && string(bytes.TrimSpace(key)) == "model name" {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}
