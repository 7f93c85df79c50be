//go:build !linux

package inject

import "time"

// nap sleeps for about d, at most a few milliseconds. It may return early.
var nap = time.Sleep
