//go:build !race

package inject

// slowness is by what timeouts grow.
const slowness = 1
