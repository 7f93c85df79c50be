//go:build !linux

package prefork

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

var errUnsupported = fmt.Errorf("prefork: worker processes need Linux: serve from one process with -workers 0: %w",
	errors.ErrUnsupported)

// Run needs Linux. Here it returns an error that wraps [errors.ErrUnsupported].
func Run(context.Context, Config) error { return errUnsupported }

// Attach returns nil: Run starts no workers here.
func Attach() (*Worker, error) { return nil, nil }

// Worker never exists here. Its methods are there so that programs compile.
type Worker struct{}

func (*Worker) Serve(*http.Server) error       { return errUnsupported }
func (*Worker) Counters() []atomic.Uint64      { return nil }
func (*Worker) AllCounters() [][]atomic.Uint64 { return nil }
func (*Worker) Gauges() []atomic.Uint64        { return nil }
func (*Worker) AllGauges() [][]atomic.Uint64   { return nil }
func (*Worker) Fleet() Fleet                   { return Fleet{} }

// Fleet is empty here.
type Fleet struct{}

func (Fleet) CPUTime() time.Duration { return 0 }
func (Fleet) Restarts() uint64       { return 0 }
func (Fleet) Started() time.Time     { return time.Time{} }
func (Fleet) Status() Status         { return Status{} }
