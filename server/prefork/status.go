package prefork

import "time"

// Status is a picture of the master and its workers, taken without stopping them: numbers of the
// same worker may be some microseconds apart.
type Status struct {
	MasterPID int       `json:"master_pid"`
	Started   time.Time `json:"started"`
	Restarts  uint64    `json:"restarts"` // of all slots together
	// Generation is the one that workers are started from now; Wanted is how many there should be.
	Generation uint64 `json:"generation"`
	Wanted     int    `json:"workers_wanted"`
	// LastReload is how the last reload ended; nil before the first.
	LastReload *ReloadStatus  `json:"last_reload,omitempty"`
	Workers    []WorkerStatus `json:"workers"` // by slot; slots without a worker are left out
}

// ReloadStatus is how a reload ended.
type ReloadStatus struct {
	Ended time.Time `json:"ended"`
	// Error is why what served before goes on; empty if the new generation serves.
	Error string `json:"error,omitempty"`
}

// WorkerStatus is one worker in a Status. A worker that was just replaced and still finishes its
// last requests is listed beside its successor.
type WorkerStatus struct {
	Slot int `json:"slot"`
	// PID is 0 while the slot waits for its worker to be started again.
	PID        int    `json:"pid"`
	Generation uint64 `json:"generation"`
	// State is "waiting" (to be started again), "starting", "ready" or "draining".
	State       string `json:"state"`
	Connections uint64 `json:"connections"` // open now
	InFlight    uint64 `json:"in_flight"`   // requests in a handler now
	// Requests answered in this slot, by its earlier workers too.
	Requests uint64 `json:"requests"`
	// Restarts is how often a worker was started here because the one before it had died.
	Restarts uint64 `json:"restarts"`
	// LastEnd is how the last worker that died here ended: "signal: killed", "exit status 1", or what
	// it was killed for. At most 120 bytes.
	LastEnd string `json:"last_end,omitempty"`
	// OldestRequestSeconds is the age of the oldest request that is in a handler, 0 without one.
	OldestRequestSeconds float64   `json:"oldest_request_seconds"`
	Started              time.Time `json:"started,omitzero"`
	AgeSeconds           float64   `json:"age_seconds"` // since Started
}
