package loadtest

import (
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"rampart/loadtest/host"
	"rampart/loadtest/result"
)

// startCPUs is how many processors this process may use, as Go counts them when it starts. A duel
// pins it to some of them, and Go follows that after a while.
var startCPUs = runtime.GOMAXPROCS(0)

func thisMachine() result.Machine {
	name, _ := os.Hostname() // an empty name says well enough that there is none
	return result.Machine{
		Host: name,
		OS:   runtime.GOOS,
		Arch: runtime.GOARCH,
		CPU:  host.CPUModel(),
		CPUs: startCPUs,
	}
}

// commit is set by the linker (Makefile). Go itself knows none of a worktree of git, or that of a
// repository around it.
var commit string

// Version is that of this module in the running program, with the commit where the program knows
// it.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, dep := range info.Deps {
		if dep.Path == "rampart" {
			v = dep.Version
		}
	}
	known := commit
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && commit == "" {
			known = s.Value
		}
	}
	return strings.TrimSpace(v + " " + known)
}
