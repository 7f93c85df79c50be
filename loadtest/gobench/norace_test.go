//go:build !race

package gobench

const slowness = 1
