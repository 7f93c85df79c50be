package main

import (
	"fmt"
	"syscall"
)

// otherFiles are what a process has open besides a socket for each VU.
const otherFiles = 64

// raiseOpenFiles lets this process and those that it starts have as many files open as the system
// permits, and returns how many that are. Not all tools do so themselves. The error says that so
// many VUs need more.
func raiseOpenFiles(vus int) (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("limit of open files: %w", err)
	}
	if need := uint64(vus + otherFiles); limit.Max < need {
		return 0, fmt.Errorf("%d VUs need %d open files, and a process may have %d: "+
			"raise the hard limit (ulimit -Hn %d as root, "+
			"or nofile in /etc/security/limits.conf), or use fewer VUs", vus, need, limit.Max, need)
	}
	// Also where it is the limit already: the runtime has raised it for this process only, and would
	// set back a child's.
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("raise the limit of open files to %d: %w", limit.Max, err)
	}
	return int(min(limit.Cur, 1<<20)), nil
}

// connectionsFor is how many connections a server must be able to hold for so many VUs: those of a
// run, and those of the run before, or of clients that give up connections and open others, which
// it has not closed yet.
func connectionsFor(vus int) int { return 2*vus + 1024 }
