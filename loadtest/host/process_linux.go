package host

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// prometheus/procfs reads the same files. It is not used, because whoever imports package loadtest
// would have to build all of it for the few numbers that are needed here.

// process is what /proc/PID/stat says of a process.
type process struct {
	identity
	parent int
	name   string
	reaped time.Duration // processor time of children that have ended and been waited for
}

// identity tells a process from another one that has its number later.
type identity struct {
	pid     int
	started time.Duration // since the machine booted
}

func (p process) String() string { return fmt.Sprintf("%s (process %d)", p.name, p.pid) }

// tick is the unit of times in /proc/PID/stat. USER_HZ is 100 on every architecture that Go runs
// on.
const tick = time.Second / 100

// parseStat reads a line of /proc/PID/stat (proc_pid_stat(5)). The name may hold blanks and
// parentheses.
func parseStat(line []byte) (process, error) {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return process{}, fmt.Errorf("no name in %q", line)
	}
	// Counted from the state, which follows the name.
	const parent, cutime, cstime, started = 1, 13, 14, 19
	fields := bytes.Fields(line[end+1:])
	if len(fields) <= started {
		return process{}, fmt.Errorf("too few fields in %q", line)
	}
	var numbers [5]int64
	for i, field := range [][]byte{
		bytes.TrimSpace(line[:open]), fields[parent], fields[cutime], fields[cstime], fields[started],
	} {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return process{}, fmt.Errorf("%w in %q", err, line)
		}
		numbers[i] = n
	}
	return process{
		identity: identity{int(numbers[0]), time.Duration(numbers[4]) * tick},
		parent:   int(numbers[1]), name: string(line[open+1 : end]),
		reaped: time.Duration(numbers[2]+numbers[3]) * tick,
	}, nil
}

// processes returns all processes that can be seen.
func processes() ([]process, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	names, err := dir.Readdirnames(-1)
	dir.Close()
	if err != nil {
		return nil, err
	}
	var all []process
	for _, name := range names {
		if name[0] < '1' || name[0] > '9' {
			continue // no process
		}
		path := "/proc/" + name + "/stat"
		line, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		p, err := parseStat(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, p)
	}
	return all, nil
}

// tree returns those of all that are one of roots or descend from one.
func tree(all []process, roots []int) []process {
	children := make(map[int][]process)
	var found []process
	for _, p := range all {
		children[p.parent] = append(children[p.parent], p)
		if slices.Contains(roots, p.pid) {
			found = append(found, p)
		}
	}
	in := make(map[int]bool)
	for i := 0; i < len(found); i++ {
		pid := found[i].pid
		in[pid] = true
		found = append(found, children[pid]...)
	}
	// A root that descends from another root was found twice.
	return slices.DeleteFunc(found, func(p process) bool {
		first := in[p.pid]
		in[p.pid] = false
		return !first
	})
}

// lineage returns a process and all from which it descends.
func lineage(all []process, pid int) map[int]bool {
	parents := make(map[int]int)
	for _, p := range all {
		parents[p.pid] = p.parent
	}
	line := make(map[int]bool)
	for ; pid != 0 && !line[pid]; pid = parents[pid] {
		line[pid] = true
	}
	return line
}

// ignoresChildren reports whether a process lets the kernel throw away what its children have used
// (SIGCHLD is ignored, see wait(2)).
func ignoresChildren(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(status)) {
		if mask, ok := strings.CutPrefix(line, "SigIgn:"); ok {
			bits, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
			return err == nil && bits&(1<<(unix.SIGCHLD-1)) != 0
		}
	}
	return false
}

// ProcessCPU reads the processor-time clock of a process, which has nanoseconds where /proc has
// ticks of 10 ms, and counts the process without its children. The number of the clock is the one
// that clock_getcpuclockid(3) computes. The error wraps [os.ErrProcessDone] where the process has
// ended.
//
// The supervisor of the bundled server has the same few lines: tool and server share no package.
func ProcessCPU(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED
	var ts unix.Timespec
	err := unix.ClockGettime(int32(^pid<<3|schedClock), &ts)
	if errors.Is(err, unix.EINVAL) {
		err = os.ErrProcessDone
	}
	if err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}
