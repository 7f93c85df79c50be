package result

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clientsOf makes the results of two clients that measured one level.
func clientsOf() []Result {
	at := time.Unix(1_764_000_001, 0)
	one, two := ramp(), ramp()
	for i, r := range []*Result{&one, &two} {
		l := level(2+i, uint64(20+i), time.Millisecond)
		l.Started = at
		r.Kind, r.Levels, r.Stop = KindLevels, []Level{l}, Stop{}
		r.Settings = slices.Clone(r.Settings)
	}
	two.Started, two.Elapsed, two.Machine.Host, two.Machine.CPUs = one.Started.Add(-time.Second), time.Minute, "second", 8
	return []Result{one, two}
}

func TestMergeClients(t *testing.T) {
	clients := clientsOf()
	clients[1].Settings = append(clients[1].Settings, Setting{"START_AT", "1764000001"}, Setting{"MAX_VUS", "9"})
	m, err := MergeClients(clients)
	require.NoError(t, err)
	require.Equal(t, KindLevels, m.Kind)
	require.Equal(t, clients[1].Started, m.Started)
	require.Equal(t, time.Minute, m.Elapsed)
	require.Equal(t, Machine{Host: "client, second", OS: "linux", Arch: "amd64", CPU: "Model 1", CPUs: 10}, m.Machine)
	require.Equal(t, clients[0].Settings, m.Settings)
	require.Equal(t, clients[0].Target, m.Target)
	require.Len(t, m.Levels, 1)
	require.Equal(t, 5, m.Levels[0].VUs)
	require.Empty(t, m.Levels[0].Doubts)
}

// TestMergeClientsOfOneMachine has both on it, so its processors count once.
func TestMergeClientsOfOneMachine(t *testing.T) {
	clients := clientsOf()
	clients[1].Machine = clients[0].Machine
	m, err := MergeClients(clients)
	require.NoError(t, err)
	require.Equal(t, clients[0].Machine, m.Machine)
}

func TestMergeClientsDoubtsWhatIsNotOneExperiment(t *testing.T) {
	for want, change := range map[string]func(*Result){
		"target http://192.0.2.1:8080/?it1=60000&it2=1 and http://192.0.2.2/": func(r *Result) {
			r.Target = "http://192.0.2.2/"
		},
		"address none and 192.0.2.2:80": func(r *Result) { r.Address = "192.0.2.2:80" },
		"rampart v1.2.3 and v1.2.4":     func(r *Result) { r.Version = "v1.2.4" },
		"ITERATIONS none and 5": func(r *Result) {
			r.Settings = append(r.Settings, Setting{"ITERATIONS", "5"})
		},
		"BODY none and 7 bytes; HEADERS none and Accept": func(r *Result) {
			r.Settings = append(r.Settings, Setting{"BODY", "7 bytes"}, Setting{"HEADERS", "Accept"})
		},
	} {
		clients := clientsOf()
		change(&clients[1])
		m, err := MergeClients(clients)
		require.NoError(t, err)
		require.Equal(t, Doubts{{Kind: DoubtClients, Text: "clients 1 and 2 did not measure the same: " + want}},
			m.Levels[0].Doubts)
	}
}

func TestMergeClientsRefuses(t *testing.T) {
	for want, change := range map[string]func(*Result){
		`client 2 has 0 levels of kind "levels": want one`: func(r *Result) { r.Levels = nil },
		`client 2 has 2 levels of kind "levels": want one`: func(r *Result) {
			r.Levels = append(r.Levels, r.Levels...)
		},
		`client 2 has 1 levels of kind "ramp": want one`: func(r *Result) { r.Kind = KindRamp },
		"clients 1 and 2 did not measure at the same time": func(r *Result) {
			r.Levels[0].Started = time.Unix(1_764_100_000, 0)
		},
		"client 2 has 22 requests and 21 latencies":              func(r *Result) { r.Levels[0].Requests++ },
		"client 2 has a level of 3 VUs and a window of 0s: want": func(r *Result) { r.Levels[0].Window = 0 },
	} {
		clients := clientsOf()
		change(&clients[1])
		_, err := MergeClients(clients)
		require.ErrorContains(t, err, want)
	}
	_, err := MergeClients(nil)
	require.ErrorContains(t, err, "there is none")
}
