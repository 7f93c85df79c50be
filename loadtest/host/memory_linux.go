package host

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
)

// ServerMemory gauges the server at address, of the processes that [ServerCPU] meters but for those
// that only start it. It is the sum of their proportional set sizes, in which a page that several
// processes share counts once (proc_pid_smaps(5), Pss), with what is swapped out. Who serves is
// looked for at the first reading; later ones follow these processes and their descendants.
//
// An error says why that cannot be known.
func ServerMemory(address string, launch Launch) Gauge {
	var mu sync.Mutex
	var roots []int
	return func() (int64, error) {
		mu.Lock()
		defer mu.Unlock()
		all, err := processes()
		if err != nil {
			return 0, err
		}
		if roots == nil {
			serves, err := serving(all, address)
			if err != nil {
				return 0, err
			}
			for _, m := range launch.members(all, tree(all, serves)) {
				if !m.wrapper {
					roots = append(roots, m.pid)
				}
			}
		}
		var sum int64
		found := false
		for _, p := range tree(all, roots) {
			size, err := setSize(p.pid)
			if errors.Is(err, os.ErrNotExist) || errors.Is(err, errNoMemory) {
				continue // it has ended meanwhile
			}
			if err != nil {
				return 0, fmt.Errorf("memory of %s: %w", p, err)
			}
			sum, found = sum+size, true
		}
		if !found {
			return 0, errors.New("its processes have ended, or this kernel does not tell it")
		}
		return sum, nil
	}
}

// errNoMemory says that a process has none any more: it has ended, and nobody has waited for it.
var errNoMemory = errors.New("no memory")

// setSize is the proportional set size of a process, in bytes, with what is swapped out.
func setSize(pid int) (int64, error) {
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	return parseSetSize(rollup)
}

// parseSetSize reads /proc/PID/smaps_rollup.
func parseSetSize(rollup []byte) (int64, error) {
	if len(bytes.TrimSpace(rollup)) == 0 {
		return 0, errNoMemory
	}
	var sum int64
	found := false
	for line := range bytes.Lines(rollup) {
		name, value, _ := bytes.Cut(line, []byte{':'})
		if string(name) != "Pss" && string(name) != "SwapPss" {
			continue
		}
		number, isKB := bytes.CutSuffix(bytes.TrimSpace(value), []byte(" kB"))
		n, err := strconv.ParseInt(string(bytes.TrimSpace(number)), 10, 64)
		if err != nil || !isKB || n < 0 {
			return 0, fmt.Errorf("%q: want a number of kB", bytes.TrimSpace(line))
		}
		sum += n << 10
		found = found || string(name) == "Pss"
	}
	if !found {
		return 0, errors.New("smaps_rollup has no Pss")
	}
	return sum, nil
}
