package loadtest

import (
	"bufio"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"rampart/loadtest/report"
)

func thisMachine() report.Machine {
	host, _ := os.Hostname() // an empty name says well enough that there is none
	return report.Machine{
		Host: host,
		OS:   runtime.GOOS,
		Arch: runtime.GOARCH,
		CPU:  cpuModel(),
		CPUs: runtime.GOMAXPROCS(0),
	}
}

// cpuModel is the name that Linux gives the processor, empty where there is none.
func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// version is that of this module in the running program, with the commit where the program knows it.
func version() string {
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
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v += " " + s.Value
		}
	}
	return v
}
