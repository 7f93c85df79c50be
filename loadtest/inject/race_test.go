//go:build race

package inject

// slowness is by what timeouts grow: the race detector makes a request take several times as long.
const slowness = 5
