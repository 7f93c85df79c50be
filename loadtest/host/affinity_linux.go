package host

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// Affinity is which processors servers and injector of a duel may use. The zero value: all.
//
// Both servers have to have the same, and other than the injector. Where two are left to find their
// places among all, each stays for a while where it happens to be; a processor whose core is shared
// with another tenant can be half as fast as its neighbour, and then one side has the slow one for
// a whole block, which no alternation cancels. Measured on two processors, the standard deviation
// over blocks of the difference of two equal servers: 7 to 11 % without, 1 to 3 % with.
type Affinity struct{ servers, injector *unix.CPUSet }

// Split gives the injector a quarter of the processors that this process may use, at least one, and
// the servers the others. With one processor only, there is nothing to split.
func Split() (Affinity, error) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return Affinity{}, fmt.Errorf("processors of this process: %w", err)
	}
	if all.Count() < 2 {
		return Affinity{}, nil
	}
	servers, injector := all, unix.CPUSet{}
	for cpu := 0; injector.Count() < max(all.Count()/4, 1); cpu++ {
		if all.IsSet(cpu) {
			injector.Set(cpu)
			servers.Clear(cpu)
		}
	}
	return Affinity{&servers, &injector}, nil
}

// Pin keeps the whole process, all its threads and those that they start, on the injector's
// processors until unpin is called. What else this process does meanwhile is there as well.
func (a Affinity) Pin() (unpin func(), err error) {
	if a.injector == nil {
		return func() {}, nil
	}
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("processors of this process: %w", err)
	}
	if err := pinThreads("self", a.injector); err != nil {
		return nil, fmt.Errorf("pin the injector: %w", err)
	}
	return func() { _ = pinThreads("self", &before) }, nil // what could be narrowed can be widened again
}

// Usable lists the processors that this process may use; empty: it is not known.
func Usable() (cpus []int, err error) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return nil, fmt.Errorf("processors of this process: %w", err)
	}
	for cpu := 0; len(cpus) < all.Count(); cpu++ {
		if all.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// PinProcess keeps a process, all its threads and those that they start, on a processor.
func PinProcess(pid, cpu int) error {
	var to unix.CPUSet
	to.Set(cpu)
	if err := pinThreads(strconv.Itoa(pid), &to); err != nil {
		return fmt.Errorf("pin process %d to processor %d: %w", pid, cpu, err)
	}
	return nil
}

// Threads is how many threads a process has; 0: it has ended.
func Threads(pid int) int {
	threads, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/[0-9]*")
	if err != nil { // only of a bad pattern
		panic(err)
	}
	return len(threads)
}

// pinThreads pins all threads of a process. One that is made meanwhile, by a thread that is not
// pinned yet, is not pinned either: so it looks again until there is none.
func pinThreads(pid string, to *unix.CPUSet) error {
	for pinned := make(map[string]bool); ; {
		threads, err := filepath.Glob("/proc/" + pid + "/task/[0-9]*")
		if err != nil {
			return err
		}
		news := false
		for _, t := range threads {
			id, err := strconv.Atoi(filepath.Base(t))
			if err != nil || pinned[t] {
				continue
			}
			if err := unix.SchedSetaffinity(id, to); err != nil && err != unix.ESRCH { // ended meanwhile
				return err
			}
			pinned[t], news = true, true
		}
		if !news {
			return nil
		}
	}
}

// Start calls f, which starts a process, in a way that the process may use the servers' processors
// only. The calling goroutine must have its thread to itself.
func (a Affinity) Start(f func() error) error {
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

// ServerCPUs is how many processors the servers have; 1 where that is not known.
func (a Affinity) ServerCPUs() int {
	if a.servers == nil {
		return 1
	}
	return a.servers.Count()
}
