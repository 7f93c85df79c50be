//go:build race

package prefork

// slowness is by what timeouts grow: the race detector makes everything take several times as long.
const slowness = 5
