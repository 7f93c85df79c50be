package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// What a run with many VUs may take.
const (
	mostConnecting = 10 * time.Second
	mostResident   = 300_000_000 // bytes
)

// many runs rampart alone with many VUs and says how that went. The error says what was not good
// enough.
//
// When the last VU was connected is in none of rampart's files, but how long the level took beyond
// its window is: that is connecting and, after the window, the end of the last requests and of the
// connections. So connecting took at most that.
func (b bench) many(ctx context.Context, t tool, vus int, stdout io.Writer) error {
	s, text := b.report(ctx, t, vus)
	if s.err != nil {
		return fmt.Errorf("%d VUs: %w", vus, s.err)
	}
	level, err := parseRampart(text)
	if err != nil {
		return fmt.Errorf("%d VUs: %w", vus, err)
	}
	fmt.Fprintf(stdout, "%d VUs for %v against %s: all connected after %v at most "+
		"(what the level took beyond its window, with closing), "+
		"%d requests, %d failed, %s MB resident\n",
		vus, b.duration, b.server.name, level.beyond.Round(10*time.Millisecond), s.completed, s.failed,
		number(megabytes(s.resident)))
	return enough(s, level.beyond)
}

// enough judges a run with many VUs.
func enough(s sample, connecting time.Duration) error {
	var errs []error
	if s.failed > 0 {
		errs = append(errs, fmt.Errorf("%d requests failed: none may", s.failed))
	}
	if s.resident > mostResident {
		errs = append(errs, fmt.Errorf("%s MB resident: at most %s are allowed",
			number(megabytes(s.resident)), number(megabytes(mostResident))))
	}
	if connecting > mostConnecting {
		errs = append(errs, fmt.Errorf("connecting may have taken %v: at most %v is allowed",
			connecting.Round(10*time.Millisecond), mostConnecting))
	}
	return errors.Join(errs...)
}
