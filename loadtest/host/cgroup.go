package host

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// UsableCPUs is how many CPUs this process may use on average. Go takes a limit of the control
// group for two at least; what the injector can use is the limit itself.
func UsableCPUs() float64 {
	mounted, dirs := controlGroups()
	limit := float64(runtime.GOMAXPROCS(0))
	for _, dir := range dirs {
		limit = min(limit, quota(mounted, dir))
	}
	return limit
}

// controlGroups are the control groups that may limit the CPU time of this process, lowest first,
// as directories where they are mounted; none on other systems than Linux.
func controlGroups() (mounted fs.FS, dirs []string) {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, nil
	}
	return os.DirFS("/sys/fs/cgroup"), groupDirs(string(groups))
}

// groupDirs are the directories of the groups in /proc/self/cgroup (cgroups(7)) and of those above
// them, not all of which need be there: a container that sees its own group only has it at the
// root, whatever its path is called.
func groupDirs(groups string) []string {
	var dirs []string
	for line := range strings.Lines(groups) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		root := "." // of version 2, which has no controllers here
		if slices.Contains(strings.Split(controllers, ","), "cpu") {
			root = "cpu"
		} else if controllers != "" {
			continue
		}
		dir := path.Join(root, path.Clean("/"+group))
		for ; dir != root; dir = path.Dir(dir) {
			dirs = append(dirs, dir)
		}
		dirs = append(dirs, root)
	}
	return dirs
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

// withheldTime is how long the lowest group that tells was kept from running by its limit; 0 where
// none does.
func withheldTime(mounted fs.FS, dirs []string) (time.Duration, error) {
	for _, dir := range dirs {
		stat, err := fs.ReadFile(mounted, path.Join(dir, "cpu.stat"))
		if err != nil {
			continue
		}
		if withheld, ok, err := parseThrottled(stat); ok || err != nil {
			return withheld, err
		}
	}
	return 0, nil
}

// parseThrottled reads how long a group was throttled from its cpu.stat
// (Documentation/admin-guide/cgroup-v2.rst, Documentation/scheduler/sched-bwc.rst for version 1). A
// group that cannot have a limit has no such line.
func parseThrottled(stat []byte) (withheld time.Duration, ok bool, err error) {
	for line := range strings.Lines(string(stat)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		var unit time.Duration
		switch name {
		case "throttled_usec":
			unit = time.Microsecond
		case "throttled_time": // version 1
			unit = time.Nanosecond
		default:
			continue
		}
		n, err := strconv.ParseInt(value, 10, 64)
		return time.Duration(n) * unit, err == nil, err
	}
	return 0, false, nil
}
