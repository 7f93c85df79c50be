package prefork

import "time"

// Status is a picture of the master and its workers, taken without stopping them: numbers of the same
// worker may be some microseconds apart.
type Status struct {
	MasterPID int            `json:"master_pid"`
	Started   time.Time      `json:"started"`
	Restarts  uint64         `json:"restarts"` // of all slots together
	Workers   []WorkerStatus `json:"workers"`  // by slot; slots without a worker are left out
}

// WorkerStatus is one worker in a Status. A worker that was just replaced and still finishes its last
// requests is listed beside its successor.
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
	// OldestRequestSeconds is the age of the oldest request that is in a handler, 0 without one.
	OldestRequestSeconds float64   `json:"oldest_request_seconds"`
	Started              time.Time `json:"started,omitzero"`
}
