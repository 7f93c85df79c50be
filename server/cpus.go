package main

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// defaultWorkers is gunicorn's advice for as many CPUs as the process may use. Go takes a limit of
// the control group for two CPUs at least, which is right for threads and would be too many
// processes; so the limit is read here as well.
func defaultWorkers() int {
	cpus := math.Min(float64(runtime.GOMAXPROCS(0)), math.Ceil(cpuLimit()))
	return 2*int(cpus) + 1
}

// cpuLimit is how many CPUs the control groups of this process let it use on average, without a
// limit +Inf.
func cpuLimit() float64 {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil { // not Linux, or without control groups
		return math.Inf(1)
	}
	return groupLimit(os.DirFS("/sys/fs/cgroup"), string(groups))
}

// groupLimit is the lowest limit of the groups in /proc/self/cgroup (cgroups(7)) and of those above
// them. A container that sees its own group only has it at the root, whatever its path is called:
// that, too, is above.
func groupLimit(mounted fs.FS, groups string) float64 {
	limit := math.Inf(1)
	for line := range strings.Lines(groups) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		root := "." // of version 2, which has no controllers here
		if slices.Contains(strings.Split(controllers, ","), "cpu") {
			root = "cpu"
		} else if controllers != "" {
			continue
		}
		for dir := path.Join(root, path.Clean("/"+group)); ; dir = path.Dir(dir) {
			limit = min(limit, quota(mounted, dir))
			if dir == root {
				break
			}
		}
	}
	return limit
}

// quota is the limit of one group: time that may be used, divided by the period in which it may.
func quota(mounted fs.FS, dir string) float64 {
	read := func(name string) []string {
		text, _ := fs.ReadFile(mounted, path.Join(dir, name)) // no file: no limit
		return strings.Fields(string(text))
	}
	words := read("cpu.max")
	if len(words) == 0 { // version 1
		words = append(read("cpu.cfs_quota_us"), read("cpu.cfs_period_us")...)
	}
	if len(words) != 2 {
		return math.Inf(1)
	}
	used, err := strconv.ParseUint(words[0], 10, 63) // else "max" or -1: no limit
	period, periodErr := strconv.ParseUint(words[1], 10, 63)
	if err != nil || periodErr != nil || used == 0 || period == 0 {
		return math.Inf(1)
	}
	return float64(used) / float64(period)
}
