package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// residentWatch finds the highest resident memory of a process.
//
// The kernel tells it at the end (ru_maxrss), but counts the memory of whoever started the process,
// too: between fork and exec the child has that, and ru_maxrss outlives exec (setmax_mm_hiwater_rss
// in fs/exec.c). So for a process that needs less than this one it tells nothing. For those, what
// the kernel says of the process alone (VmHWM) is read while it runs; that misses only what it
// needs more in its last moments.
type residentWatch struct {
	pid   int
	ended chan struct{}
	peak  chan int64 // gets one value after ended is closed
	floor int64      // what ru_maxrss is at least, whatever the process needs
}

// residentInterval is how often memory is read: seldom enough to cost the machine nothing.
const residentInterval = 50 * time.Millisecond

// residentSlack covers that the kernel counts memory for each processor and adds up late.
const residentSlack = 1 << 20

func watchResident(pid int) *residentWatch {
	w := &residentWatch{pid: pid, ended: make(chan struct{}), peak: make(chan int64, 1), floor: highWater("self")}
	go w.watch()
	return w
}

func (w *residentWatch) watch() {
	ticker := time.NewTicker(residentInterval)
	defer ticker.Stop()
	var peak int64
	for {
		peak = max(peak, highWater(strconv.Itoa(w.pid)))
		select {
		case <-ticker.C:
		case <-w.ended:
			w.peak <- peak
			return
		}
	}
}

// end returns the highest resident memory in bytes of the process, which has ended in state.
func (w *residentWatch) end(state *os.ProcessState) int64 {
	close(w.ended)
	seen := <-w.peak
	var told int64
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		told = int64(usage.Maxrss) * maxrssUnit
	}
	if told > w.floor+residentSlack || seen == 0 {
		return told
	}
	return seen
}

// highWater reads the highest resident memory in bytes of a process since its exec; 0 where it
// cannot be known.
func highWater(process string) int64 {
	status, err := os.ReadFile(filepath.Join("/proc", process, "status"))
	if err != nil {
		return 0
	}
	_, after, ok := bytes.Cut(status, []byte("\nVmHWM:"))
	fields := bytes.Fields(after)
	if !ok || len(fields) == 0 {
		return 0
	}
	kib, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
