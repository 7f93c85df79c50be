package result

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
)

// KindBenchDuel is the kind of the document of a duel of Go benchmarks.
const KindBenchDuel = "benchmarks"

// BenchDuel is what a duel of Go benchmarks measured, and what was planned before. It is its own
// document; see loadtest/README.md.
type BenchDuel struct {
	Version   int           `json:"version"` // JSONVersion
	Kind      string        `json:"kind"`    // KindBenchDuel
	Rampart   string        `json:"rampart"` // the version of the program
	Started   time.Time     `json:"started"`
	Elapsed   time.Duration `json:"elapsed_ns"`
	Baseline  string        `json:"baseline"` // what was built, or the path of a test binary
	Candidate string        `json:"candidate"`
	Machine   Machine       `json:"machine"`
	Seed      uint64        `json:"seed"`
	Plan      BenchPlan     `json:"plan"`
	// Better is in which direction units are better, where test binaries declare it.
	Better     map[string]string `json:"better,omitempty"`
	Benchmarks []Benchmark       `json:"benchmarks"`
	Missing    []string          `json:"missing,omitempty"` // what should be judged and was not measured, and why
	Failed     []string          `json:"failed,omitempty"`  // benchmarks that failed, and how
	Notes      []string          `json:"remarks,omitempty"` // what else to know
}

// BenchPlan is how it is to be judged.
type BenchPlan struct {
	Looks   []int              `json:"looks"` // after how many blocks of a benchmark it may have a verdict
	Alpha   float64            `json:"alpha"`
	Units   []string           `json:"units,omitempty"` // that are judged; nil: all that are usual
	Margins map[string]float64 `json:"margins,omitempty"`
	Require []string           `json:"require_better,omitempty"` // units that have to be shown to be better
}

// Benchmark is one benchmark, with its blocks.
type Benchmark struct {
	Package    string `json:"pkg"`
	Name       string `json:"name"`         // as package testing prints it
	Iterations int    `json:"iterations"`   // of a measurement, the same on both sides
	Pairs      int    `json:"measurements"` // of each side in a block
	// Serial says that both sides ran on one processor, drawn for each block: the benchmark does
	// not use more.
	Serial bool         `json:"one_processor"`
	Blocks []BenchBlock `json:"blocks"`
}

// BenchBlock is one fresh process of each side, with the means of all that it measured.
type BenchBlock struct {
	Number         int           `json:"block"` // from 1
	CandidateFirst bool          `json:"candidate_first"`
	Layouts        [2]int        `json:"layouts"` // arrangements of functions of both sides; 0: the linker's own
	Took           time.Duration `json:"took_ns"`
	Sides          [2][]Metric   `json:"sides"`
}

// ReadBenchDuelJSON reads the document of a duel of Go benchmarks. What it says of a verdict is
// passed over. The error says that it is none, or of a version that this program does not know.
func ReadBenchDuelJSON(r io.Reader) (d BenchDuel, err error) {
	if err := decodeOne(r, "duel.json", &d); err != nil {
		return BenchDuel{}, err
	}
	switch {
	case d.Version != JSONVersion:
		return BenchDuel{}, fmt.Errorf("duel.json of version %d: want %d", d.Version, JSONVersion)
	case d.Kind != KindBenchDuel:
		return BenchDuel{}, fmt.Errorf("a document of kind %q is no duel of benchmarks: want kind %q", d.Kind, KindBenchDuel)
	}
	return d, nil
}

// MarshalJSON writes a metric as a pair of its unit and its value. What JSON has no number for is a
// text.
func (m Metric) MarshalJSON() ([]byte, error) {
	if math.IsNaN(m.Value) || math.IsInf(m.Value, 0) {
		return json.Marshal([2]string{m.Unit, strconv.FormatFloat(m.Value, 'g', -1, 64)})
	}
	return json.Marshal([2]any{m.Unit, m.Value})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (m *Metric) UnmarshalJSON(text []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(text, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("%s is no pair of unit and value", text)
	}
	if err := json.Unmarshal(pair[0], &m.Unit); err != nil {
		return err
	}
	var words string
	if err := json.Unmarshal(pair[1], &words); err == nil {
		m.Value, err = strconv.ParseFloat(words, 64)
		return err
	}
	return json.Unmarshal(pair[1], &m.Value)
}
