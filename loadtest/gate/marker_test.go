package gate

import (
	"testing"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/verdict"
)

func TestParseBlock(t *testing.T) {
	for line, want := range map[string]block{
		"# rampart duel seed=42 block=1":                    {42, 1},
		"# rampart duel block=7 seed=0":                     {0, 7},
		"# rampart duel seed=18446744073709551615 block=30": {1<<64 - 1, 30},
		"# rampart duel seed=1 block=2 commit=abc note":     {1, 2},
	} {
		got, ok, err := parseBlock(line)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, blockMark{block: want}, got)
	}
	got, _, err := parseBlock("# rampart duel seed=42 block=1 requests=990 failures=10")
	require.NoError(t, err)
	require.Equal(t, blockMark{
		block: block{42, 1}, counted: true, requests: verdict.Count{Succeeded: 990, Failed: 10},
	}, got)
	for _, counts := range []string{"requests=1", "failures=1", "requests=1 failures=-1", "requests=1e3 failures=1",
		"requests=x failures=x"} {
		_, ok, err := parseBlock("# rampart duel seed=42 block=1 " + counts)
		require.True(t, ok)
		require.ErrorContains(t, err, "want both requests=1000 and failures=0, or none of them", counts)
	}
	for _, line := range []string{
		"# rampart duel ", "# rampart duel seed=1", "# rampart duel block=1", "# rampart duel seed=-1 block=1",
		"# rampart duel seed=1 block=0",
		"# rampart duel seed=1 block=-1", "# rampart duel seed=1 block=x", "# rampart duel seed block",
		"# rampart duel seed=1 block=1.5",
	} {
		_, ok, err := parseBlock(line)
		require.True(t, ok)
		require.ErrorContains(t, err, "want # rampart duel seed=42 block=1", line)
	}
	for _, line := range []string{"", "# rampart v1.2.3", "rampart duel seed=1 block=1",
		"# rampart duels seed=1 block=1"} {
		_, ok, err := parseBlock(line)
		require.NoError(t, err)
		require.False(t, ok)
	}
}
