//go:build !linux

package main

// maxrssUnit is the unit of ru_maxrss in bytes, on Apple's systems.
const maxrssUnit = 1
