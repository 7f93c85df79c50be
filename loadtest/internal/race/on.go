//go:build race

package race

// Slowness is by what timeouts of tests grow and simulations shrink.
const Slowness = 5
