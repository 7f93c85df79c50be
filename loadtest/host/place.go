package host

import (
	"net/netip"
	"os"
)

// SameServer reports whether two addresses, host:port or the path of a unix socket, lead to one and
// the same server, as far as that can be seen: they are one place, however they are written, or
// what listens there is one socket of this machine, or one process at one port of it.
func SameServer(a, b string) bool {
	x, errX := netip.ParseAddrPort(a)
	y, errY := netip.ParseAddrPort(b)
	if errX != nil || errY != nil {
		return a == b || sameFile(a, b)
	}
	if x.Port() != y.Port() {
		return false
	}
	return reached(x.Addr()) == reached(y.Addr()) || oneSocket(a, b) || Share(a, b)
}

// sameFile reports whether two paths are those of one file.
func sameFile(a, b string) bool {
	at, errA := os.Stat(a)
	bt, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(at, bt)
}

// reached is where a connection to ip arrives: one to no address in particular goes to loopback.
func reached(ip netip.Addr) netip.Addr {
	switch ip = ip.Unmap(); ip.WithZone("") {
	case netip.IPv4Unspecified():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case netip.IPv6Unspecified():
		return netip.IPv6Loopback()
	}
	return ip
}
