//go:build !linux

package inject

import (
	"context"
	"errors"
)

// newLoops returns none: the event loop uses epoll. A goroutine for each VU does the same at a higher price.
func newLoops(context.Context, *run, *HTTP) ([]driver, error) { return nil, nil }

func loopsFor(int) int { return 0 }

type nullServer struct{ address string }

func startNullServer(int) (*nullServer, error) { return nil, errors.ErrUnsupported }

func (*nullServer) stop() {}
