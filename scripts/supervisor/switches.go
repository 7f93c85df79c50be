package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// switches is how often a command that this process has started, and all that it has started in
// turn, gave up a processor so far: because there was nothing to do, or because the kernel gave it
// to another (proc_pid_status(5), voluntary_ctxt_switches and nonvoluntary_ctxt_switches of each
// thread). What ended took its count along, so it is only good for servers whose processes stay.
func switches(command []string) (uint64, error) {
	parents, err := parentsOfAll()
	if err != nil {
		return 0, err
	}
	var family []int
	argv := strings.Join(command, "\x00") + "\x00"
	for pid, parent := range parents {
		if parent != os.Getpid() {
			continue
		}
		if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && string(line) == argv {
			family = append(family, pid)
		}
	}
	if len(family) != 1 {
		return 0, fmt.Errorf("%d processes of this one run %q, want 1", len(family), strings.Join(command, " "))
	}
	for i := 0; i < len(family); i++ {
		for pid, parent := range parents {
			if parent == family[i] && !slices.Contains(family, pid) {
				family = append(family, pid)
			}
		}
	}
	var sum uint64
	for _, pid := range family {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		if err != nil {
			return 0, err
		}
		for _, path := range threads {
			status, err := os.ReadFile(path)
			if err != nil {
				continue // it has ended meanwhile
			}
			n, err := parseSwitches(status)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", path, err)
			}
			sum += n
		}
	}
	return sum, nil
}

// parentsOfAll are the parents of all processes, by their numbers.
func parentsOfAll() (map[int]int, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no processes in /proc: %v", err)
	}
	parents := make(map[int]int)
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		fields := bytes.Fields(line[bytes.LastIndexByte(line, ')')+1:]) // of the state and what follows it
		if len(fields) < 2 {
			return nil, fmt.Errorf("%s: too few fields", path)
		}
		parent, err := strconv.Atoi(string(fields[1]))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return nil, err
		}
		parents[pid] = parent
	}
	return parents, nil
}

// parseSwitches adds up both kinds of switches in the status of a thread.
func parseSwitches(status []byte) (sum uint64, err error) {
	found := 0
	for line := range bytes.Lines(status) {
		name, value, _ := bytes.Cut(line, []byte{':'})
		if string(name) != "voluntary_ctxt_switches" && string(name) != "nonvoluntary_ctxt_switches" {
			continue
		}
		n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 64)
		if err != nil {
			return 0, err
		}
		sum, found = sum+n, found+1
	}
	if found != 2 {
		return 0, fmt.Errorf("it tells %d of 2 kinds of switches", found)
	}
	return sum, nil
}
