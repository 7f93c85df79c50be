package loadtest

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// affinity is which processors servers and injector of a duel may use. The zero value: all.
//
// Both servers have to have the same, and other than the injector. Where two are left to find their places among all, each
// stays for a while where it happens to be; a processor whose core is shared with another tenant can be half as fast as its
// neighbour, and then one side has the slow one for a whole block, which no alternation cancels. Measured on two
// processors, the standard deviation over blocks of the difference of two equal servers: 7 to 11 % without, 1 to 3 % with.
type affinity struct{ servers, injector *unix.CPUSet }

// split gives the injector a quarter of the processors that this process may use, at least one, and the servers the others.
// With one processor only, there is nothing to split.
func split() (affinity, error) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return affinity{}, fmt.Errorf("processors of this process: %w", err)
	}
	if all.Count() < 2 {
		return affinity{}, nil
	}
	servers, injector := all, unix.CPUSet{}
	for cpu := 0; injector.Count() < max(all.Count()/4, 1); cpu++ {
		if all.IsSet(cpu) {
			injector.Set(cpu)
			servers.Clear(cpu)
		}
	}
	return affinity{&servers, &injector}, nil
}

// pin keeps all threads of this process, and those that they start, on the injector's processors until unpin is called.
func (a affinity) pin() (unpin func(), err error) {
	if a.injector == nil {
		return func() {}, nil
	}
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("processors of this process: %w", err)
	}
	if err := pinThreads(a.injector); err != nil {
		return nil, err
	}
	return func() { _ = pinThreads(&before) }, nil // what could be narrowed can be widened again
}

func pinThreads(to *unix.CPUSet) error {
	threads, err := filepath.Glob("/proc/self/task/[0-9]*")
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(filepath.Base(t))
		if err != nil {
			continue
		}
		if err := unix.SchedSetaffinity(id, to); err != nil && err != unix.ESRCH { // ended meanwhile
			return fmt.Errorf("pin the injector: %w", err)
		}
	}
	return nil
}

// start calls f, which starts a process, in a way that the process may use the servers' processors only. The calling
// goroutine must have its thread to itself.
func (a affinity) start(f func() error) error {
	if a.servers == nil {
		return f()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("processors of this thread: %w", err)
	}
	if err := unix.SchedSetaffinity(0, a.servers); err != nil {
		return fmt.Errorf("pin a server: %w", err)
	}
	defer func() { _ = unix.SchedSetaffinity(0, &before) }()
	return f()
}

// serverCPUs is how many processors the servers have; 1 where that is not known.
func (a affinity) serverCPUs() int {
	if a.servers == nil {
		return 1
	}
	return a.servers.Count()
}
