package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"rampart/loadtest/child"
)

// serve is the server: it takes a fixed time for each request. It ends with ctx.
func serve(ctx context.Context, address string, service time.Duration, stderr io.Writer) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(service) })}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	fmt.Fprintf(stderr, "listening on %s\n", l.Addr())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// launch starts a command and returns a function that waits for its end. ctx kills it.
func launch(ctx context.Context, cmd *exec.Cmd) (wait func() error, err error) {
	cmd.WaitDelay = time.Second
	p, err := child.Start(cmd, child.Options{})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	kept := context.AfterFunc(ctx, func() { p.Signal(syscall.SIGTERM) })
	return func() error {
		defer kept()
		return p.Wait()
	}, nil
}

// server is a running server.
type server struct {
	address string
	end     context.CancelFunc
	wait    func() error
}

// startServer runs this program as the server and waits until it listens.
func startServer(ctx context.Context, n *network, service time.Duration) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := command(n.server, self, "-serve", n.listenAddress(), "-service", service.String())
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(ctx)
	s := &server{end: end}
	if s.wait, err = launch(ctx, cmd); err != nil {
		end()
		return nil, err
	}
	line, _ := bufio.NewReader(stderr).ReadString('\n') // no line: it has ended
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ok {
		return nil, errors.Join(fmt.Errorf("the server does not listen: %q", line), s.stop())
	}
	s.address = address
	return s, nil
}

func (s *server) stop() error {
	s.end()
	if err := s.wait(); err != nil {
		return fmt.Errorf("the server: %w", err)
	}
	return nil
}

// runClient runs the client and returns the last line that it printed.
func runClient(ctx context.Context, namespace, path, dir string, env ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := command(namespace, path, "-test.run", "^TestLevel$")
	cmd.Dir = dir
	// Nothing in the caller's environment may change a client.
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "CI=true", "OUTPUT=json", "RESULTS=" + dir}, env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	wait, err := launch(ctx, cmd)
	if err != nil {
		return nil, err
	}
	if err := wait(); err != nil {
		return nil, fmt.Errorf("client: %w; it said:\n%s%s", err, &stdout, &stderr)
	}
	lines := bytes.Split(bytes.TrimSpace(stdout.Bytes()), []byte("\n"))
	return lines[len(lines)-1], nil
}
