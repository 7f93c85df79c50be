package loadtest

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process is what /proc/PID/stat says of a process.
type process struct {
	pid, parent int
	name        string
	reaped      time.Duration // processor time of children that have ended and been waited for
}

// tick is the unit of times in /proc/PID/stat. USER_HZ is 100 on every architecture that Go runs on.
const tick = time.Second / 100

// parseStat reads a line of /proc/PID/stat (proc_pid_stat(5)). The name may hold blanks and parentheses.
func parseStat(line []byte) (process, error) {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return process{}, fmt.Errorf("no name in %q", line)
	}
	const parent, cutime, cstime = 1, 13, 14 // counted from the state, which follows the name
	fields := bytes.Fields(line[end+1:])
	if len(fields) <= cstime {
		return process{}, fmt.Errorf("too few fields in %q", line)
	}
	var numbers [4]int64
	for i, field := range [][]byte{bytes.TrimSpace(line[:open]), fields[parent], fields[cutime], fields[cstime]} {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return process{}, fmt.Errorf("%w in %q", err, line)
		}
		numbers[i] = n
	}
	return process{
		pid: int(numbers[0]), parent: int(numbers[1]), name: string(line[open+1 : end]),
		reaped: time.Duration(numbers[2]+numbers[3]) * tick,
	}, nil
}

// processes returns all processes that can be seen.
func processes() ([]process, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var all []process
	for _, path := range paths {
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

// treeCPU meters the processes roots and all their descendants, also those that have ended and been waited for.
func treeCPU(roots ...int) CPUMeter {
	return func() (time.Duration, error) {
		all, err := processes()
		if err != nil {
			return 0, err
		}
		found := tree(all, roots)
		if len(found) == 0 {
			return 0, fmt.Errorf("processor time of process %v: it has ended", roots)
		}
		var sum time.Duration
		for _, p := range found {
			used, err := processCPU(p.pid)
			if err != nil && !errors.Is(err, unix.EINVAL) { // EINVAL: ended meanwhile
				return 0, err
			}
			sum += used + p.reaped
		}
		return sum, nil
	}
}

// processCPU reads the processor-time clock of a process, which has nanoseconds where /proc has ticks of 10 ms. The
// number of the clock is the one that clock_getcpuclockid(3) computes.
func processCPU(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &ts); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// forwarders listen on behalf of a server that is elsewhere: their processor time is not the server's.
var forwarders = []string{"docker-proxy", "rootlessport", "slirp4netns", "ssh", "sshd", "kubectl"}

// listenerCPU meters the processes that listen on address, host:port or the path of a unix socket, if it is one of this
// machine and they can be seen.
func listenerCPU(address string) CPUMeter {
	tables, find := []string{"/proc/net/unix"}, func(table []byte) []string { return unixInodes(table, address) }
	if ap, err := netip.ParseAddrPort(address); err == nil {
		if !isLocal(ap.Addr()) {
			return nil
		}
		tables, find = []string{"/proc/net/tcp", "/proc/net/tcp6"}, func(table []byte) []string { return listeningInodes(table, ap) }
	}
	sockets := make(map[string]bool)
	for _, table := range tables {
		b, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for _, inode := range find(b) {
			sockets["socket:["+inode+"]"] = true
		}
	}
	roots := holders(sockets)
	all, err := processes()
	if len(roots) == 0 || err != nil {
		return nil
	}
	for _, p := range all {
		if slices.Contains(roots, p.pid) && slices.Contains(forwarders, p.name) {
			return nil
		}
	}
	return treeCPU(roots...)
}

func isLocal(ip netip.Addr) bool {
	ip = ip.Unmap()
	if ip.IsLoopback() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Unmap() == ip {
			return true
		}
	}
	return false
}

// listeningInodes reads /proc/net/tcp or tcp6 and returns the inodes of the sockets that listen on ap or on its port of
// all addresses.
func listeningInodes(table []byte, ap netip.AddrPort) []string {
	const local, state, inode, listen = 1, 3, 9, "0A"
	var inodes []string
	lines := bufio.NewScanner(bytes.NewReader(table))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) <= inode || fields[state] != listen {
			continue
		}
		at, ok := parseKernelAddr(fields[local])
		if ok && at.Port() == ap.Port() && (at.Addr() == ap.Addr().Unmap() || at.Addr().IsUnspecified()) {
			inodes = append(inodes, fields[inode])
		}
	}
	return inodes
}

// unixInodes reads /proc/net/unix and returns the inodes of the sockets that listen on path.
func unixInodes(table []byte, path string) []string {
	const flags, inode, name, accepts = 3, 6, 7, "00010000"
	var inodes []string
	lines := bufio.NewScanner(bytes.NewReader(table))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > name && fields[flags] == accepts && strings.HasSuffix(lines.Text(), " "+path) {
			inodes = append(inodes, fields[inode])
		}
	}
	return inodes
}

// parseKernelAddr reads an address of /proc/net/tcp: words of four bytes, each in the byte order of the machine, which
// is little-endian wherever this runs, a colon, and the port.
func parseKernelAddr(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	if !ok {
		return netip.AddrPort{}, false
	}
	b, err := hex.DecodeString(host)
	if err != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(b, 4) {
		slices.Reverse(word)
	}
	ip, ok := netip.AddrFromSlice(b)
	n, err := strconv.ParseUint(port, 16, 16)
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), ok && err == nil
}

// holders returns the processes that have one of the sockets open, as far as this process may see that.
func holders(sockets map[string]bool) []int {
	if len(sockets) == 0 {
		return nil
	}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return nil
	}
	var pids []int
	for _, link := range links {
		to, err := os.Readlink(link)
		if err != nil || !sockets[to] {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(link, "/")[2])
		if err == nil && !slices.Contains(pids, pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}
