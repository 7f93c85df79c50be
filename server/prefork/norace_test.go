//go:build !race

package prefork

// slowness is by what timeouts grow.
const slowness = 1
