package lab

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestVariables holds that the list of variables is what is read, so that slips are found in a new
// one as well.
func TestVariables(t *testing.T) {
	var read []string
	_, err := SettingsFromEnv(func(name string) string {
		read = append(read, name)
		return ""
	})
	require.NoError(t, err)
	slices.Sort(read)
	require.Equal(t, variables, slices.Compact(read))
}

func TestMisspelt(t *testing.T) {
	for name, want := range map[string]string{
		"DURATON": "DURATION", "DURATIONS": "DURATION", "DURATOIN": "DURATION", "DURATI0N": "DURATION",
		"duration": "DURATION", "MAXVUS": "MAX_VUS", "KEEP_ALIVE": "KEEPALIVE", "HEADER": "HEADERS",
		"START-AT": "START_AT", "VU": "VUS", "SEVRER": "SERVER",
	} {
		require.Equal(t, []string{name + " is set, and nothing here reads it: write " + want + " if you mean that"},
			Misspelt([]string{"HOME=/", name + "=topsecret"}))
	}
	for _, name := range append([]string{"PATH", "SERVER_NAME", "DURATN", "USER", "K6_VUS", "ROUTPTU", ""}, variables...) {
		require.Empty(t, Misspelt([]string{name + "=1"}), name)
	}
	require.Empty(t, Misspelt([]string{"DURATON=", "=C:=1", "DURATON"}), "what is empty counts as unset")
	require.Len(t, Misspelt([]string{"SERVR=b", "BODDY=a"}), 2)
}
