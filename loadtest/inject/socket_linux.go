package inject

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// address is where a socket can be connected to.
type address struct {
	family int
	to     unix.Sockaddr
	far    bool // not on loopback: see farAway
}

// socketAddresses returns the addresses behind the target's name, in the order in which they should
// be tried.
func (h *HTTP) socketAddresses(ctx context.Context) ([]address, error) {
	if h.config.Socket != "" {
		return []address{{family: unix.AF_UNIX, to: &unix.SockaddrUnix{Name: h.config.Socket}}}, nil
	}
	host, port, err := net.SplitHostPort(h.Address())
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %s: %w", port, err)
	}
	ip, err := netip.ParseAddr(host) // the resolver would lose the zone
	ips := []netip.Addr{ip}
	if err != nil {
		if ips, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host); err != nil {
			return nil, ownFault("address of the server", err)
		}
	}
	var all []address
	for _, ip := range ips {
		a, err := socketAddress(netip.AddrPortFrom(ip.Unmap(), uint16(number)))
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

func socketAddress(at netip.AddrPort) (address, error) {
	if at.Addr().Is4() {
		return address{unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}, farAway(at.Addr())},
			nil
	}
	to := &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	if zone := at.Addr().Zone(); zone != "" {
		i, err := net.InterfaceByName(zone)
		if err != nil {
			return address{}, fmt.Errorf("address of the server: zone of %s: %w", at.Addr(), err)
		}
		to.ZoneId = uint32(i.Index)
	}
	return address{unix.AF_INET6, to, farAway(at.Addr())}, nil
}

// openSocket begins to connect a new socket that poll watches as the given connection of the user
// i. The socket is there, and has to be closed, also with an error, unless it is -1. The error is 0
// if it is connected already, EINPROGRESS if that will be told.
func openSocket(a address, poll int, i, connection int32) (int32, unix.Errno) {
	fd, err := unix.Socket(a.family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err.(unix.Errno)
	}
	if a.family != unix.AF_UNIX {
		// The request is one write; waiting for an acknowledgement before its last segment would only
		// delay it.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	connecting := unix.Connect(fd, a.to)
	// After connect: a socket that has not begun to connect would be told of as hung up.
	err = watchSocket(poll, unix.EPOLL_CTL_ADD, int32(fd), i, connection)
	for _, err := range []error{err, connecting} {
		if err != nil {
			return int32(fd), err.(unix.Errno)
		}
	}
	return int32(fd), 0
}

// watchSocket makes poll tell of a user's socket, each change once.
func watchSocket(poll, op int, fd, i, connection int32) error {
	return unix.EpollCtl(poll, op, int(fd), &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: i, Pad: connection,
	})
}

// socketError is how an attempt to connect ended.
func socketError(fd int32) unix.Errno {
	n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err.(unix.Errno)
	}
	return unix.Errno(n)
}

// resetOnClose makes the end of a TCP connection a reset.
func resetOnClose(fd int32) {
	_ = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// receive and send are recvfrom and sendto without addresses. The sockets do not block, so the
// runtime need not be told of the system call, which costs more than its own part of it; and read
// and write would go through the kernel's layer for files. The bytes belong to a loop, which keeps
// them alive.

func receive(fd int32, b []byte) (int, unix.Errno) {
	n, _, err := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
	return int(n), err
}

// peek is receive that leaves what it read to be read again.
func peek(fd int32, b []byte) (int, unix.Errno) {
	n, _, err := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		unix.MSG_PEEK, 0, 0)
	return int(n), err
}

func send(fd int32, b []byte) (int, unix.Errno) {
	n, _, err := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		unix.MSG_NOSIGNAL, 0, 0)
	return int(n), err
}

// acknowledged is how many bytes the other side of a TCP connection has acknowledged so far.
func acknowledged(conn net.Conn) (n uint64, err error) {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, err
	}
	told := raw.Control(func(fd uintptr) { n, err = acknowledgedOn(int(fd)) })
	return n, errors.Join(told, err)
}

func acknowledgedOn(fd int) (uint64, error) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, err
	}
	return info.Bytes_acked, nil
}
