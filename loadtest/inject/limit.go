package inject

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
)

// A LimitError says that this process, or its machine, has no more of something that an injection
// needs. The server has no part in it, so it ends the injection and is in no count of failures.
type LimitError struct {
	Err    error  // what could not be done
	Advice string // what would help
}

// Error says what could not be done, and what would help.
func (e *LimitError) Error() string {
	return fmt.Sprintf("a limit of the injector: %v; %s", e.Err, e.Advice)
}

// Unwrap returns what could not be done.
func (e *LimitError) Unwrap() error { return e.Err }

// advices are the errors that only this side of a connection can have, each with what would help.
var advices = []struct {
	err    syscall.Errno
	advice string
}{
	{syscall.EMFILE, "allow this process more open files (ulimit -n), or use fewer VUs"},
	{syscall.ENFILE, "allow more open files on this machine (sysctl fs.file-max), or use fewer VUs"},
	{syscall.EADDRNOTAVAIL, "this machine has no address, or no port left, to connect from: allow more ports (sysctl " +
		"net.ipv4.ip_local_port_range), use fewer VUs, or wait a minute until those of ended connections are free"},
	{syscall.ENOBUFS, "use fewer VUs, or allow more memory for sockets (sysctl net.ipv4.tcp_mem)"},
	{syscall.ENOMEM, "use fewer VUs, or give this machine more memory"},
	{syscall.ENOSPC, "allow more watched sockets (sysctl fs.epoll.max_user_watches), or use fewer VUs"},
}

// asLimit returns the limit that err is about, or nil.
func asLimit(err error) *LimitError {
	if err == nil {
		return nil
	}
	var lookup *net.DNSError // it has lost what it was caused by, but for the words
	failed := errors.As(err, &lookup)
	for _, a := range advices {
		if errors.Is(err, a.err) || failed && strings.Contains(lookup.Err, a.err.Error()) {
			return &LimitError{err, a.advice}
		}
	}
	return nil
}

// ownFault wraps an error of the injector with what it is about, and with advice where there is
// some.
func ownFault(what string, err error) error {
	if limit := asLimit(err); limit != nil {
		err = limit
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Fits says why this process cannot have a connection to the server for each of so many VUs, as far
// as that can be known before: it may not open as many files, or has not as many ports. Nil:
// nothing speaks against it.
func (h *HTTP) Fits(vus int) error {
	if err := filesFor(vus); err != nil {
		return err
	}
	if h.config.Socket != "" {
		return nil
	}
	return portsFor(vus)
}
