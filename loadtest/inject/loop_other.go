//go:build !linux

package inject

import (
	"context"
	"errors"
	"net"
)

// newLoops returns none: the event loop uses epoll. A goroutine for each VU does the same at a
// higher price.
func newLoops(context.Context, *run, *HTTP, []*asker) ([]driver, error) { return nil, nil }

// acknowledged cannot be known, so that a request that crossed the end of its connection is a
// failure.
func acknowledged(net.Conn) (uint64, error) { return 0, errors.ErrUnsupported }

func loopsFor(int) int { return 0 }

type nullServer struct{ address string }

func startNullServer(int) (*nullServer, error) { return nil, errors.ErrUnsupported }

func (*nullServer) stop() {}
