package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"rampart/loadtest/inject"
)

// Contender is one side of a duel: a server that is started afresh for every block, or one that runs already.
type Contender struct {
	// Command is a command line for sh, with {addr} where the server takes the address to listen on, host:port. Empty:
	// Address is set.
	Command string
	// Address is the host:port of a server that runs already. What changes with every start of a process is then the same
	// in all blocks, and no error bar contains it.
	Address string
	// URI is what this side is asked, where it is not what both are: the path of a URL, with a query if need be.
	URI string
}

// addrMark is where a command takes its address.
const addrMark = "{addr}"

// ParseContender reads a command line with {addr} in it, or a host:port.
func ParseContender(s string) (Contender, error) {
	if strings.Contains(s, addrMark) {
		return Contender{Command: s}, nil
	}
	if _, port, err := net.SplitHostPort(s); err == nil && port != "" && !strings.ContainsAny(s, " \t/") {
		return Contender{Address: s}, nil
	}
	return Contender{}, fmt.Errorf("%q: want a command line with %s where the server takes its address, such as "+
		"\"./server -addr %[2]s\", or the host:port of a server that runs already", s, addrMark)
}

func (c Contender) String() string { return strings.TrimSpace(c.Command + c.Address + " " + c.URI) }

// contest is a contender that serves.
type contest struct {
	target *inject.HTTP
	cpu    CPUMeter
	server *Server // nil: it ran already
}

// start makes a contender serve, and waits until it answers what it is asked: config, whose URL gets the address.
func (c Contender) start(ctx context.Context, on affinity, config inject.HTTPConfig, timeout time.Duration) (contest, error) {
	at := *config.URL
	if c.URI != "" {
		own, err := RequestURL(c.URI)
		if err != nil {
			return contest{}, err
		}
		at = *own
	}
	config.URL = &at
	var server *Server
	if at.Host = c.Address; c.Command != "" {
		address, err := freeAddress()
		if err != nil {
			return contest{}, err
		}
		at.Host = address
		if server, err = startCommand(on, strings.ReplaceAll(c.Command, addrMark, address)); err != nil {
			return contest{}, err
		}
	}
	target, err := inject.NewHTTP(config)
	if err == nil {
		err = awaitAnswer(ctx, target, server, timeout)
	}
	if err != nil {
		if server != nil {
			err = errors.Join(err, server.Kill())
		}
		return contest{}, fmt.Errorf("%s: %w", c, err)
	}
	if server != nil {
		return contest{target, server.CPU, server}, nil
	}
	return contest{target, serverCPU(ctx, config, target.Address()), nil}, nil
}

// awaitAnswer probes until the target answers with success, its server has ended, or patience is over.
func awaitAnswer(ctx context.Context, target *inject.HTTP, server *Server, timeout time.Duration) error {
	const firstPause, lastPause = 2 * time.Millisecond, 100 * time.Millisecond
	until := time.Now().Add(startPatience)
	ended := make(<-chan struct{}) // of a server that is not ours we do not hear
	if server != nil {
		ended = server.ended
	}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := target.Probe(ctx, timeout)
		if err == nil {
			return nil
		}
		if server == nil || time.Now().After(until) {
			return fmt.Errorf("it does not serve %s: %w", target, err)
		}
		select {
		case <-ended:
			return errors.New("it ended before it served")
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// stop ends the contender's server. The error says that it had ended by itself, with its last words.
func (c contest) stop() error {
	if c.server == nil {
		return nil
	}
	return c.server.end()
}

// output is what the contender's server said last; empty: it is not ours to hear.
func (c contest) output() string {
	if c.server == nil {
		return ""
	}
	return c.server.output.String()
}

// freeAddress returns an address of loopback on which nobody listens. Somebody else may take it before the server does; then
// the server says so.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("free address: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// RequestURL returns the URL of a request to contenders, whose address is not known yet.
func RequestURL(requestURI string) (*url.URL, error) {
	u, err := url.ParseRequestURI(requestURI)
	if err != nil || !strings.HasPrefix(requestURI, "/") {
		return nil, fmt.Errorf("%q: want the path of a URL, with a query if need be, such as /search?q=go", requestURI)
	}
	u.Scheme = "http"
	return u, nil
}
