package host

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
)

// Why the processes of a server cannot be known.
var (
	errRemote = errors.New("it is not on this machine")
	errNobody = errors.New("nobody listens there in this network namespace; a port may be forwarded")
)

// forwarders listen on behalf of a server that is elsewhere: their processor time is not the
// server's.
var forwarders = []string{
	"docker-proxy", "rootlessport", "rootlesskit", "slirp4netns", "pasta", "passt", "gvproxy",
	"ssh", "sshd", "sshd-session", "kubectl", "socat", "ncat", "stunnel",
}

// ServerCPU meters the server at address, host:port or the path of a unix socket. These count:
//
//   - the processes that listen on address or hold a connection that was accepted there;
//   - the processes of launch, if this process started the server;
//   - all their descendants, also those that have ended and been waited for.
//
// An error says why that cannot be known: another user's process listens; who listens only passes
// on; this process descends from who listens, or listens itself; what a process has used is lost; a
// process of launch uses much and is only there to start the server. Process 1 and systemd
// hold sockets for others: they do not count, and where they serve themselves, nothing is known.
//
// What the server asks of processes that it did not start, such as a database or the backend of a
// proxy, is not in it and cannot be seen.
func ServerCPU(address string, launch Launch) Meter {
	return groupCPU(func(all []process) ([]member, error) {
		roots, err := serving(all, address)
		if err != nil {
			return nil, err
		}
		return launch.members(all, tree(all, roots)), nil
	})
}

// Share reports whether a process serves both addresses, so that what it uses for one cannot be
// told from what it uses for the other.
func Share(a, b string) bool {
	all, err := processes()
	if err != nil {
		return false
	}
	var serves [2][]process
	for i, address := range []string{a, b} {
		roots, err := serving(all, address)
		if err != nil {
			return false // then the meters say why they do not know it
		}
		serves[i] = tree(all, roots)
	}
	return slices.ContainsFunc(serves[0], func(p process) bool { return slices.Contains(serves[1], p) })
}

// serving returns the processes that serve address.
func serving(all []process, address string) (roots []int, err error) {
	sockets, err := serverSockets(address)
	if err != nil {
		return nil, err
	}
	return servers(all, sockets, holders(all, sockets), os.Getpid())
}

// servers returns which of all processes serve, by the sockets and who holds them. self looks on.
func servers(all []process, sockets []socket, holders map[socket][]process, self int) (roots []int, err error) {
	if !slices.ContainsFunc(sockets, func(s socket) bool { return s.listening }) {
		return nil, errNobody
	}
	holds, accepted := make(map[int]bool), make(map[int]bool)
	for _, s := range sockets {
		if s.listening && len(holders[s]) == 0 {
			return nil, errors.New("another user's process listens there; run as that user, or as root")
		}
		for _, p := range holders[s] {
			holds[p.pid] = true // who has only connections serves as well as who listens
			accepted[p.pid] = accepted[p.pid] || !s.listening
		}
	}
	above := lineage(all, self)
	for _, p := range all {
		first := p.pid == 1 || p.name == "systemd"
		switch {
		case !holds[p.pid]:
		case p.pid == self:
			return nil, errors.New("this process itself serves; use a server of its own")
		case first && !accepted[p.pid]: // it holds the socket for a server
		case first || above[p.pid]:
			return nil, fmt.Errorf("%s serves, and this process descends from it, or all processes do: "+
				"what it uses is not the server's alone; start the server as a process of its own", p)
		case slices.Contains(forwarders, p.name):
			return nil, fmt.Errorf("%s passes requests on to a server elsewhere; address the server itself", p)
		default:
			roots = append(roots, p.pid)
		}
	}
	if len(roots) == 0 {
		return nil, errors.New("process 1 or systemd holds the socket; the server is not there yet, or is that process")
	}
	return roots, nil
}

// members are those that serve, and the processes of the launch.
func (l Launch) members(all, servers []process) []member {
	members := make(map[int]member)
	above := make(map[int]bool) // those that serve
	for _, p := range servers {
		members[p.pid] = member{process: p}
		for pid := range lineage(all, p.pid) {
			above[pid] = true
		}
	}
	var launched []process
	if l.PID != 0 {
		launched = tree(all, []int{l.PID})
	}
	detached := !above[l.PID] // the server is a child of somebody else
	for _, p := range launched {
		if _, serves := members[p.pid]; !serves {
			members[p.pid] = member{p, detached || above[p.pid]}
		}
	}
	for _, p := range l.marked(all) {
		if _, there := members[p.pid]; !there {
			members[p.pid] = member{process: p}
		}
	}
	var found []member
	for _, m := range members {
		found = append(found, m)
	}
	return found
}

// marked are the processes that have the mark in their environment, and their descendants: also
// those that have left the tree of processes which started them.
func (l Launch) marked(all []process) []process {
	if l.Mark == "" {
		return nil
	}
	var roots []int
	for _, p := range all {
		environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.pid))
		isMark := func(line []byte) bool { return string(line) == l.Mark }
		if err == nil && slices.ContainsFunc(bytes.Split(environment, []byte{0}), isMark) {
			roots = append(roots, p.pid)
		}
	}
	return tree(all, roots)
}
