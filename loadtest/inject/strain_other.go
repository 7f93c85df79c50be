//go:build !linux

package inject

// readThreads returns nothing: other systems do not tell how long a thread waited.
func readThreads() map[int]threadTimes { return nil }
