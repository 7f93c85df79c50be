package host

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// A socket is a line of a table of sockets in /proc/net that belongs to a server.
type socket struct {
	inode     string
	listening bool // else it is a connection that the server has accepted
}

// serverSockets returns the sockets of the server at address, host:port or the path of a unix
// socket, as far as they are in the network namespace of this process.
func serverSockets(address string) ([]socket, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		table, err := os.ReadFile("/proc/net/unix")
		if err != nil {
			return nil, err
		}
		return unixSockets(table, address), nil
	}
	at = netip.AddrPortFrom(reached(at.Addr()).WithZone(""), at.Port())
	if !isLocal(at.Addr()) {
		return nil, errRemote
	}
	var all []tcpSocket
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(table)
		if err != nil {
			continue // a kernel without that protocol
		}
		all = append(all, tcpSockets(b, at.Port())...)
	}
	return socketsAt(all, at.Addr()), nil
}

func isLocal(ip netip.Addr) bool {
	if ip.IsLoopback() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Unmap().WithZone("") == ip {
			return true
		}
	}
	return false
}

// A tcpSocket is a socket with its own address. All is as in /proc/net/tcp6 where v6 is set, and
// that may hold IPv4 as well.
type tcpSocket struct {
	socket
	ip netip.Addr
	v6 bool
}

// tcpSockets reads /proc/net/tcp or tcp6 and returns the sockets that listen on port or were
// accepted there.
func tcpSockets(table []byte, port uint16) []tcpSocket {
	const local, state, inode = 1, 3, 9
	const established, closeWait, listen = "01", "08", "0A"
	var found []tcpSocket
	lines := bufio.NewScanner(bytes.NewReader(table))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) <= inode || fields[inode] == "0" { // 0: of no process, as one not yet accepted
			continue
		}
		at, v6, ok := parseKernelAddr(fields[local])
		if s := fields[state]; ok && at.Port() == port && (s == established || s == closeWait || s == listen) {
			found = append(found, tcpSocket{socket{fields[inode], s == listen}, at.Addr(), v6})
		}
	}
	return found
}

// socketsAt returns those that serve ip. The kernel prefers a listener on the very address to one
// on all addresses, and among those one of IPv4 for IPv4.
func socketsAt(all []tcpSocket, ip netip.Addr) []socket {
	var found []socket
	rank := func(s tcpSocket) int {
		switch {
		case s.ip == ip:
			return 3
		case s.ip == netip.IPv4Unspecified() && ip.Is4() && !s.v6:
			return 2
		case s.ip == netip.IPv6Unspecified():
			return 1
		}
		return 0
	}
	best := 1
	for _, s := range all {
		if s.listening {
			best = max(best, rank(s))
		}
	}
	for _, s := range all {
		if s.listening && rank(s) == best || !s.listening && s.ip == ip {
			found = append(found, s.socket)
		}
	}
	return found
}

// unixSockets reads /proc/net/unix and returns the sockets that listen on path or were accepted
// there. The table has the path as the server wrote it; where none is written like this one, those
// count that are the same file by another path.
func unixSockets(table []byte, path string) []socket {
	const flags, inode, name, accepts = 3, 6, 7, "00010000"
	var found, byFile []socket
	lines := bufio.NewScanner(bytes.NewReader(table))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) <= name {
			continue
		}
		s := socket{fields[inode], fields[flags] == accepts}
		_, at, _ := strings.Cut(lines.Text(), " "+s.inode+" ")
		switch {
		case at == path:
			found = append(found, s)
		case strings.HasPrefix(at, "/") && sameFile(at, path):
			byFile = append(byFile, s)
		}
	}
	if found == nil {
		return byFile
	}
	return found
}

// oneSocket reports whether one socket listens at both addresses.
func oneSocket(a, b string) bool {
	at, errA := serverSockets(a)
	bt, errB := serverSockets(b)
	if errA != nil || errB != nil {
		return false
	}
	return slices.ContainsFunc(at, func(s socket) bool { return s.listening && slices.Contains(bt, s) })
}

// parseKernelAddr reads an address of /proc/net/tcp: words of four bytes, each in the byte order of
// the machine, which is little-endian wherever this runs, a colon, and the port.
func parseKernelAddr(s string) (at netip.AddrPort, v6, ok bool) {
	host, port, ok := strings.Cut(s, ":")
	if !ok {
		return at, false, false
	}
	b, err := hex.DecodeString(host)
	if err != nil || len(b)%4 != 0 {
		return at, false, false
	}
	for word := range slices.Chunk(b, 4) {
		slices.Reverse(word)
	}
	ip, ok := netip.AddrFromSlice(b)
	n, err := strconv.ParseUint(port, 16, 16)
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), ip.Is6(), ok && err == nil
}

// holders returns which of the processes have which of the sockets open, as far as this process may
// see that.
func holders(all []process, sockets []socket) map[socket][]process {
	wanted := make(map[string]socket)
	for _, s := range sockets {
		wanted["socket:["+s.inode+"]"] = s
	}
	found := make(map[socket][]process)
	for _, p := range all {
		dir := fmt.Sprintf("/proc/%d/fd", p.pid)
		open, err := os.Open(dir)
		if err != nil {
			continue
		}
		names, _ := open.Readdirnames(-1) // what can be read of one that ends
		open.Close()
		for _, name := range names {
			to, err := os.Readlink(dir + "/" + name)
			s, ok := wanted[to]
			if ok && err == nil && !slices.Contains(found[s], p) {
				found[s] = append(found[s], p)
			}
		}
	}
	return found
}
