package main

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// recorded returns what a tool printed once.
func recorded(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "peers", name))
	require.NoError(t, err)
	return b
}

// outputs are the recorded ones, with what they say. An error: that no requests can be read from
// it.
var outputs = []struct {
	tool tool
	file string
	want outcome
	err  string
}{
	{wrk, "wrk.txt", outcome{completed: 47743, perSecond: 47647.56}, ""},
	{wrk, "wrk-status.txt", outcome{completed: 64318, failed: 7053, perSecond: 71309.96 * 64318 / 71371}, ""},
	{wrk, "wrk-closed.txt", outcome{completed: 53352, failed: 6045, perSecond: 53312.23}, ""},
	{wrk, "wrk-refused.txt", outcome{}, "output of wrk: no summary"},
	{hey, "hey.txt", outcome{completed: 18914, perSecond: 18842.8016}, ""},
	{hey, "hey-status.txt", outcome{completed: 19433, failed: 2184, perSecond: 21584.1389 * 19433 / 21617}, ""},
	{hey, "hey-refused.txt", outcome{failed: 27147}, ""},
	{vegeta, "vegeta.json", outcome{completed: 22943, perSecond: 22946.182566683452}, ""},
	{vegeta, "vegeta-status.json", outcome{completed: 17845, failed: 1979, perSecond: 17846.603071120862}, ""},
	{vegeta, "vegeta-refused.json", outcome{failed: 22308}, ""},
	{k6, "k6.json", outcome{completed: 16004, perSecond: 15998.347687771824}, ""},
	{k6, "k6-status.json", outcome{completed: 12312, failed: 1299, perSecond: 13594.133337350217 * 12312 / 13611}, ""},
	{k6, "k6-refused.json", outcome{failed: 14547}, ""},
	{rampart, "rampart.json", outcome{completed: 97699, perSecond: 97691}, ""},
	{rampart, "rampart-status.json", outcome{completed: 77198, failed: 8529, perSecond: 77190}, ""},
	{rampart, "vegeta.json", outcome{}, "output of rampart: 0 levels"},
	{k6, "vegeta.json", outcome{}, "output of k6: no request was made"},
	{vegeta, "wrk.txt", outcome{}, "output of vegeta: invalid character"},
	{hey, "wrk.txt", outcome{}, "output of hey: no summary"},
}

func TestRead(t *testing.T) {
	for _, o := range outputs {
		t.Run(o.tool.name+" "+o.file, func(t *testing.T) {
			got, err := o.tool.read(recorded(t, o.file))
			if o.err != "" {
				require.ErrorContains(t, err, o.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, o.want.completed, got.completed)
			require.Equal(t, o.want.failed, got.failed)
			require.InEpsilon(t, 1+o.want.perSecond, 1+got.perSecond, 1e-9)
		})
	}
}

// TestReadNonsense has numbers that cannot be.
func TestReadNonsense(t *testing.T) {
	for name, test := range map[string]struct {
		tool tool
		text string
	}{
		"wrk, more refused than made": {wrk,
			"  5 requests in 1.00s, 1MB read\n  Non-2xx or 3xx responses: 6\nRequests/sec:  5\n"},
		"wrk, a number too high": {wrk,
			"  5 requests in 1.00s, 1MB read\n  Non-2xx or 3xx responses: 99999999999999999999\nRequests/sec:  5\n"},
		"wrk, requests without rate": {wrk, "  5 requests in 1.00s, 1MB read\nRequests/sec:  0\n"},
		"hey, a number too high":     {hey, "  Total:\t999999999 secs\n  Requests/sec:\t999999999\n"},
		"vegeta, too many statuses":  {vegeta, `{"requests": 5, "throughput": 5, "status_codes": {"200": 4, "201": 4}}`},
		"vegeta, no number":          {vegeta, `{"requests": -5}`},
		"k6, more failed than made":  {k6, `{"http_reqs": {"count": 5, "rate": 5}, "http_req_failed": {"passes": 6}}`},
		"rampart, two levels": {rampart,
			`{"levels": [{"completed": 5, "req_per_s": 5}, {"completed": 5, "req_per_s": 5}]}`},
		"rampart, half a level": {rampart, `{"levels": [{"completed": 5, "req_per_s": 5, "partial": true}]}`},
		"rampart, nothing":      {rampart, ``},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := test.tool.read([]byte(test.text))
			require.ErrorContains(t, err, "output of "+test.tool.name)
		})
	}
}

func TestRampartTellsConnecting(t *testing.T) {
	level, err := parseRampart(recorded(t, "rampart-status.json"))
	require.NoError(t, err)
	require.Equal(t, 15617899*time.Nanosecond, level.beyond)
}

func FuzzRead(f *testing.F) {
	for _, o := range outputs {
		f.Add(recorded(f, o.file))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, tool := range allTools() {
			o, err := tool.read(text)
			if err != nil {
				require.Zero(t, o)
				continue
			}
			require.NotZero(t, o.completed+o.failed, tool.name)
			require.False(t, math.IsNaN(o.perSecond) || math.IsInf(o.perSecond, 0) || o.perSecond < 0,
				"%s: %v", tool.name, o.perSecond)
			require.Equal(t, o.completed > 0, o.perSecond > 0, "%s: %+v", tool.name, o)
		}
	})
}
