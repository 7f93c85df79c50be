package result

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ofClient are the settings in which clients may differ that measure one level, and the levels of
// one ramp: what they change shows in the level itself, or they are about the ramp.
var ofClient = []string{"DURATION", "WARMUP", "START_AT", "MAX_VUS", "STOP"}

// MergeClients makes one result of those of several clients, each with the one level that all
// measured at the same time ([Merge]). Its machine is that of all clients. Clients of another
// version, target or setting than the first raise a doubt: there may be a reason for that, such as
// two names of one server, but their sum is no number of one experiment.
//
// The error says what keeps results from being merged.
func MergeClients(clients []Result) (Result, error) {
	if len(clients) == 0 {
		return Result{}, errors.New("merge results: there is none")
	}
	merged := clients[0]
	var levels []Level
	var hosts []string
	for i, c := range clients {
		if c.Kind != KindLevels || len(c.Levels) != 1 {
			return Result{}, fmt.Errorf("merge results: client %d has %d levels of kind %q: want one, of kind %q",
				i+1, len(c.Levels), c.Kind, KindLevels)
		}
		levels = append(levels, c.Levels...)
		if c.Started.Before(merged.Started) {
			merged.Started = c.Started
		}
		merged.Elapsed = max(merged.Elapsed, c.Elapsed)
		if !slices.Contains(hosts, c.Machine.Host) {
			hosts = append(hosts, c.Machine.Host)
			if i > 0 {
				merged.Machine.CPUs += c.Machine.CPUs
			}
		}
	}
	merged.Machine.Host = strings.Join(hosts, ", ")
	level, err := Merge(levels)
	if err != nil {
		return Result{}, err
	}
	for i, c := range clients {
		if d := Differences(clients[0], c); len(d) > 0 {
			level.Doubts = append(level.Doubts, Doubt{Kind: DoubtClients, Text: fmt.Sprintf(
				"clients 1 and %d did not measure the same: %s", i+1, strings.Join(d, "; "))})
		}
	}
	merged.Levels = []Level{level}
	return merged, nil
}

// Differences says in what two results differ that should be of one experiment: version, target and
// settings, but for those about windows and ramps. It is nil where they do not.
func Differences(a, b Result) []string {
	var all []string
	differ := func(name, x, y string) {
		if x != y {
			all = append(all, fmt.Sprintf("%s %s and %s", name, orNone(x), orNone(y)))
		}
	}
	differ("rampart", a.Version, b.Version)
	differ("target", a.Target, b.Target)
	differ("address", a.Address, b.Address) // a name may have several, which are several servers
	x, y := byName(a.Settings), byName(b.Settings)
	for _, s := range slices.Concat(a.Settings, b.Settings) {
		if slices.Contains(ofClient, s.Name) {
			continue
		}
		differ(s.Name, x[s.Name], y[s.Name])
		delete(x, s.Name) // said once
		delete(y, s.Name)
	}
	return all
}

func byName(settings []Setting) map[string]string {
	m := make(map[string]string)
	for _, s := range settings {
		m[s.Name] = s.Value
	}
	return m
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
