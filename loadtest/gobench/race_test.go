//go:build race

package gobench

// slowness is by what timeouts grow: the race detector makes a process start several times as
// slowly.
const slowness = 5
