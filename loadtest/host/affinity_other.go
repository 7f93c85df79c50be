//go:build !linux

package host

// Affinity is nothing that other systems let a process choose.
type Affinity struct{}

// Split splits nothing.
func Split() (Affinity, error) { return Affinity{}, nil }

// Pin pins nothing.
func (Affinity) Pin() (unpin func(), err error) { return func() {}, nil }

// Start calls f.
func (Affinity) Start(f func() error) error { return f() }

// ServerCPUs is 1: it is not known.
func (Affinity) ServerCPUs() int { return 1 }

// Usable is not known.
func Usable() ([]int, error) { return nil, nil }

// PinProcess pins nothing.
func PinProcess(_, _ int) error { return nil }

// Threads is not known.
func Threads(int) int { return 0 }
