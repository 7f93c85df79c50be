//go:build !linux

package loadtest

// affinity is nothing that other systems let a process choose.
type affinity struct{}

func split() (affinity, error)              { return affinity{}, nil }
func (affinity) pin() (func(), error)       { return func() {}, nil }
func (affinity) start(f func() error) error { return f() }
func (affinity) serverCPUs() int            { return 1 }
