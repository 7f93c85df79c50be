package loadtest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// stolenTime is the processor time that this machine, or the container of this process, was kept from using so far,
// although it had something to do: stolen by the hypervisor, or withheld by the CPU limit of the container. A [CPUMeter].
func stolenTime() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("stolen time: %w", err)
	}
	stolen, err := parseSteal(stat)
	if err != nil {
		return 0, fmt.Errorf("stolen time: /proc/stat: %w", err)
	}
	// Without a control group, or with one of version 1, nothing is known to be withheld.
	group, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return stolen, nil
	}
	limits, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", unifiedGroup(group), "cpu.stat"))
	if err != nil {
		return stolen, nil
	}
	withheld, err := parseThrottled(limits)
	if err != nil {
		return 0, fmt.Errorf("withheld time: cpu.stat: %w", err)
	}
	return stolen + withheld, nil
}

// parseSteal reads the eighth number of the line of all processors in /proc/stat (proc_stat(5)).
func parseSteal(stat []byte) (time.Duration, error) {
	const steal = 8
	line, _, _ := bytes.Cut(stat, []byte{'\n'})
	fields := strings.Fields(string(line))
	if len(fields) <= steal || fields[0] != "cpu" {
		return 0, fmt.Errorf("no stolen time in %q", line)
	}
	ticks, err := strconv.ParseInt(fields[steal], 10, 64)
	return time.Duration(ticks) * tick, err
}

// unifiedGroup is the path of the control group, version 2, in /proc/self/cgroup (cgroups(7)); the root where there is none.
func unifiedGroup(groups []byte) string {
	for line := range strings.Lines(string(groups)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return path
		}
	}
	return "/"
}

// parseThrottled reads how long the group was kept from running by its limit, from cpu.stat (Documentation/admin-guide/
// cgroup-v2.rst). A group without a limit has no such line.
func parseThrottled(stat []byte) (time.Duration, error) {
	for line := range strings.Lines(string(stat)) {
		if us, ok := strings.CutPrefix(line, "throttled_usec "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(us), 10, 64)
			return time.Duration(n) * time.Microsecond, err
		}
	}
	return 0, nil
}
