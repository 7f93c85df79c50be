package host

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// errContainer says that /proc/stat is about more than this process can see.
var errContainer = errors.New("busy time: this process is in a container, and /proc/stat is of the machine around it")

// BusyTime is the processor time, user and system, of all processes of the machine so far: a
// [Meter]. What interrupts use is not in it, because much of that is the traffic of this process.
// In a container it fails, because there the processes of which it is cannot be told apart.
func BusyTime() (time.Duration, error) {
	const initial = "pid:[4026531836]" // PROC_PID_INIT_INO, the namespace of the machine's own process 1
	namespace, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return 0, fmt.Errorf("busy time: %w", err)
	}
	if namespace != initial {
		return 0, errContainer
	}
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("busy time: %w", err)
	}
	busy, err := parseBusy(stat)
	if err != nil {
		return 0, fmt.Errorf("busy time: /proc/stat: %w", err)
	}
	return busy, nil
}

// parseBusy adds up user, nice and system of all processors in /proc/stat (proc_stat(5)).
func parseBusy(stat []byte) (busy time.Duration, err error) {
	const first, last = 1, 3
	line, _, _ := bytes.Cut(stat, []byte{'\n'})
	fields := strings.Fields(string(line))
	if len(fields) <= last || fields[0] != "cpu" {
		return 0, fmt.Errorf("no busy time in %q", line)
	}
	for _, field := range fields[first : last+1] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%w in %q", err, line)
		}
		busy += time.Duration(ticks) * tick
	}
	return busy, nil
}

// MachineCPUs is how many processors the machine has, whichever of them this process may use.
func MachineCPUs() int {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return runtime.NumCPU()
	}
	return max(bytes.Count(stat, []byte("\ncpu")), 1)
}

// Elsewhere reports whether the server at address, host:port or the path of a unix socket, is
// certainly not on this machine: not at an address of its own, nor in a network that it bridges
// for containers and virtual machines.
func Elsewhere(address string) bool {
	at, err := netip.ParseAddrPort(address)
	if err != nil || isLocal(reached(at.Addr()).WithZone("")) {
		return false
	}
	bridges, err := filepath.Glob("/sys/class/net/*/bridge")
	if err != nil {
		return false
	}
	for _, b := range bridges {
		i, err := net.InterfaceByName(filepath.Base(filepath.Dir(b)))
		if err != nil {
			return false
		}
		addrs, err := i.Addrs()
		if err != nil {
			return false
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); !ok || n.Contains(at.Addr().AsSlice()) {
				return false
			}
		}
	}
	return true
}
