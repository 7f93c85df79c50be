package inject

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// readThreads returns the times of all threads of this process, as far as the kernel keeps them.
func readThreads() map[int]threadTimes {
	paths, err := filepath.Glob("/proc/self/task/[0-9]*/schedstat")
	if err != nil {
		return nil
	}
	threads := make(map[int]threadTimes)
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		id, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		if t, err := parseSchedstat(line); err == nil {
			threads[id] = t
		}
	}
	return threads
}

// parseSchedstat reads what the kernel's scheduler says of a thread
// (Documentation/scheduler/sched-stats.rst): nanoseconds on a processor, nanoseconds of waiting for
// one, and how often it got one.
func parseSchedstat(line []byte) (threadTimes, error) {
	var running, waiting int64
	var turns uint64
	if _, err := fmt.Sscan(string(line), &running, &waiting, &turns); err != nil {
		return threadTimes{}, fmt.Errorf("times of a thread in %q: %w", line, err)
	}
	return threadTimes{time.Duration(running), time.Duration(waiting), turns}, nil
}
