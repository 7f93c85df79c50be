//go:build !linux

package k6

import "time"

func pause(d time.Duration) { time.Sleep(d) }
