package inject

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// otherFiles is how many files are opened besides sockets while load is injected: event loops,
// /proc, results.
const otherFiles = 48

// filesFor checks that this process may open a socket for each VU. The soft limit is as high as it
// can be: the runtime has raised it to the hard one.
func filesFor(vus int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return ownFault("open files", err)
	}
	if uint64(vus+len(open)+otherFiles) > limit.Cur {
		return fmt.Errorf("%d VUs need as many sockets, but this process may open only %d files, and needs some for other "+
			"things: "+
			"allow more (ulimit -n), or use fewer VUs", vus, limit.Cur)
	}
	return nil
}

// portsFor checks that this machine has a local port for each VU.
func portsFor(vus int) error {
	line, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return nil // then it shows later
	}
	var first, last int
	if _, err := fmt.Fscan(strings.NewReader(string(line)), &first, &last); err != nil || vus <= last-first+1 {
		return nil
	}
	return fmt.Errorf("%d VUs need as many local ports, but this machine has only %d: allow more (sysctl "+
		"net.ipv4.ip_local_port_range), or use fewer VUs", vus, last-first+1)
}
