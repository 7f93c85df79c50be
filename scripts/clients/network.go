package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// network is where the server and the clients are. The zero value: all in the namespace of this
// process.
type network struct {
	server  string   // namespace; empty: none of its own
	clients []string // namespaces
}

// serverAddress is the address of the server where it has a namespace. It is one for documentation
// (RFC 5737), and nothing outside of the namespaces sees it.
const serverAddress = "192.0.2.1"

// newNetwork makes namespaces for the server and each client, all on a bridge in that of the
// server. Where that cannot be done, it says why and returns none.
func newNetwork(ctx context.Context, s settings, stderr io.Writer) (*network, error) {
	n := new(network)
	reason := "-plain"
	if !s.plain {
		reason = ""
		if os.Geteuid() != 0 {
			reason = "only root may make them"
		} else if _, err := exec.LookPath("ip"); err != nil {
			reason = "ip of iproute2 is not installed"
		}
	}
	if reason == "" {
		err := n.create(ctx, s.clients)
		if err == nil {
			return n, nil
		}
		if err := errors.Join(n.remove(), context.Cause(ctx)); err != nil {
			return nil, err
		}
		reason = err.Error()
	}
	fmt.Fprintf(stderr, "no network namespaces (%s): server and clients share loopback\n", reason)
	return new(network), nil
}

func (n *network) create(ctx context.Context, clients int) error {
	name := fmt.Sprintf("rampart-%d-", os.Getpid())
	if err := ip(ctx, "netns", "add", name+"server"); err != nil {
		return err
	}
	n.server = name + "server"
	for _, args := range []string{
		"link set lo up", "link add bridge type bridge", "addr add " + serverAddress + "/24 dev bridge", "link set bridge up",
	} {
		if err := ip(ctx, append([]string{"-n", n.server}, strings.Fields(args)...)...); err != nil {
			return err
		}
	}
	for i := range clients {
		client := fmt.Sprintf("%s%d", name, i+1)
		if err := ip(ctx, "netns", "add", client); err != nil {
			return err
		}
		n.clients = append(n.clients, client)
		port := fmt.Sprintf("port%d", i+1)
		for _, command := range []struct{ in, args string }{
			{n.server, fmt.Sprintf("link add %s type veth peer name eth0 netns %s", port, client)},
			{n.server, fmt.Sprintf("link set %s master bridge up", port)},
			{client, "link set lo up"},
			{client, fmt.Sprintf("addr add 192.0.2.%d/24 dev eth0", i+2)},
			{client, "link set eth0 up"},
		} {
			if err := ip(ctx, append([]string{"-n", command.in}, strings.Fields(command.args)...)...); err != nil {
				return err
			}
		}
	}
	return nil
}

// remove takes the namespaces away, and with them all that is in them.
func (n *network) remove() error {
	var errs []error
	for _, name := range append(n.clients, n.server) {
		if name != "" { // also after Ctrl-C
			errs = append(errs, ip(context.Background(), "netns", "delete", name))
		}
	}
	*n = network{}
	return errors.Join(errs...)
}

func ip(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// command returns a command that runs in a namespace; empty: in that of this process.
func command(namespace, path string, args ...string) *exec.Cmd {
	if namespace == "" {
		return exec.Command(path, args...)
	}
	// ip becomes the program, so that the process is that of the program.
	return exec.Command("ip", append([]string{"netns", "exec", namespace, path}, args...)...)
}

// client is the namespace of a client.
func (n *network) client(i int) string {
	if len(n.clients) == 0 {
		return ""
	}
	return n.clients[i]
}

func (n *network) listenAddress() string {
	if n.server == "" {
		return "127.0.0.1:0"
	}
	return serverAddress + ":0"
}

func (n *network) String() string {
	if n.server == "" {
		return "all on loopback"
	}
	return "a network namespace each"
}
