package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// healthTimeout is how long a server may take to say that it serves.
const healthTimeout = 5 * time.Second

// askHealth asks the server that listens on addr of this machine whether it serves. An image
// without a shell has nothing else to do that with.
func askHealth(addr string) error {
	if _, port, _ := net.SplitHostPort(addr); port == "0" {
		return fmt.Errorf("health: the port of %q is the server's to pick: set -addr or BIND to the one that it listens on",
			addr)
	}
	client := http.Client{
		Timeout: healthTimeout,
		Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr) // no host, or any: this machine
		}},
	}
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://localhost/healthz")
	if err != nil {
		return fmt.Errorf("health of %q: %w", addr, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 200))
	switch {
	case err != nil:
		return fmt.Errorf("health of %q: %w", addr, err)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("health of %q: %s: %q", addr, resp.Status, strings.TrimSpace(string(body)))
	}
	return nil
}
