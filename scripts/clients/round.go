package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"rampart/loadtest/result"
)

// limit is by how much merged and single may differ.
const limit = 0.03

// ahead is how long before their start clients are launched.
const ahead = time.Second

// bench makes the rounds.
type bench struct {
	settings settings
	net      *network
	server   string
	dir      string
}

// round compares the merged level of several clients with that of one.
type round struct {
	ratios [len(units)]float64 // merged / single
	skew   time.Duration       // the worst of all clients
	cores  []float64           // of each client of the merged level, and of the single one
}

// units are what is compared.
var units = [...]struct {
	name  string
	value func(result.Level) float64
}{
	{"req/s", result.Level.Throughput},
	{"p50", quantile(0.50)},
	{"p95", quantile(0.95)},
	{"p99", quantile(0.99)},
}

func quantile(q float64) func(result.Level) float64 {
	return func(l result.Level) float64 { return l.Quantile(q).Seconds() }
}

// round measures both, one after the other.
func (b bench) round(ctx context.Context, mergedFirst bool) (round, error) {
	turns := []int{1, b.settings.clients}
	if mergedFirst {
		slices.Reverse(turns)
	}
	levels := make(map[int]result.Level)
	for _, clients := range turns {
		level, err := b.level(ctx, clients)
		if err != nil {
			return round{}, err
		}
		levels[clients] = level
	}
	return newRound(levels[b.settings.clients], levels[1])
}

// level measures a level with so many clients that share the VUs, and merges what they say.
func (b bench) level(ctx context.Context, clients int) (result.Level, error) {
	start := time.Now().Add(ahead)
	levels, errs := make([]result.Level, clients), make([]error, clients)
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() { levels[i], errs[i] = b.client(ctx, i, clients, start) })
	}
	all.Wait()
	if err := errors.Join(append(errs, context.Cause(ctx))...); err != nil {
		return result.Level{}, err
	}
	return result.Merge(levels)
}

func (b bench) client(ctx context.Context, i, clients int, start time.Time) (result.Level, error) {
	line, err := runClient(ctx, b.net.client(i), b.settings.client, b.dir,
		"SERVER="+b.server+"/", fmt.Sprintf("VUS=%d", b.settings.vus/clients), "DURATION="+b.settings.duration.String(),
		fmt.Sprintf("START_AT=%d.%09d", start.Unix(), start.Nanosecond()))
	if err != nil {
		return result.Level{}, err
	}
	r, err := result.ReadJSON(bytes.NewReader(line))
	if err == nil && len(r.Levels) != 1 {
		err = fmt.Errorf("%d levels: want 1", len(r.Levels))
	}
	if err != nil {
		return result.Level{}, fmt.Errorf("client %d: %w", i+1, err)
	}
	return r.Levels[0], nil
}

func newRound(merged, single result.Level) (round, error) {
	var r round
	if n := merged.Failures.Total() + single.Failures.Total(); n > 0 || merged.Requests == 0 || single.Requests == 0 {
		return r, fmt.Errorf("%d requests failed, %d and %d succeeded: nothing to compare",
			n, merged.Requests, single.Requests)
	}
	for i, u := range units {
		r.ratios[i] = u.value(merged) / u.value(single)
	}
	for _, l := range append(merged.Clients, single.Clients...) {
		if l.StartSkew != nil {
			r.skew = max(r.skew, l.StartSkew.Abs())
		}
		if l.ClientCPU != nil {
			r.cores = append(r.cores, l.ClientCPU.Cores())
		}
	}
	return r, nil
}

// median is the median of each ratio and share, and the worst skew.
func median(rounds []round) round {
	var all round
	for i := range all.ratios {
		all.ratios[i] = middle(rounds, func(r round) float64 { return r.ratios[i] })
	}
	for i := range rounds[0].cores {
		all.cores = append(all.cores, middle(rounds, func(r round) float64 { return r.cores[i] }))
	}
	for _, r := range rounds {
		all.skew = max(all.skew, r.skew)
	}
	return all
}

func middle(rounds []round, value func(round) float64) float64 {
	var values []float64
	for _, r := range rounds {
		values = append(values, value(r))
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// required says which ratios are off by more than is allowed.
func (r round) required() error {
	var errs []error
	for i, u := range units {
		if off := r.ratios[i] - 1; !(math.Abs(off) <= limit) {
			errs = append(errs, fmt.Errorf("required: merged %s is off by %+.1f %%, at most %.0f %% are allowed",
				u.name, 100*off, 100*limit))
		}
	}
	return errors.Join(errs...)
}

func heading(s settings, n *network) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d clients with %d VUs each, merged, against one with %d; a server of %v; %s\n\n",
		s.clients, s.vus/s.clients, s.vus, s.service, n)
	b.WriteString("| round |")
	for _, u := range units {
		fmt.Fprintf(&b, " %s, merged / single |", u.name)
	}
	b.WriteString(" worst start skew | cores of each client, and of the single one |\n")
	b.WriteString("|---|" + strings.Repeat("---:|", len(units)+1) + "---|\n")
	return b.String()
}

func (r round) row(name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |", name)
	for _, x := range r.ratios {
		fmt.Fprintf(&b, " %.3f |", x)
	}
	var cores []string
	for _, c := range r.cores {
		cores = append(cores, fmt.Sprintf("%.2f", c))
	}
	fmt.Fprintf(&b, " %v | %s |\n", r.skew.Round(time.Microsecond), strings.Join(cores, ", "))
	return b.String()
}
