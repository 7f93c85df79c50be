package host

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStolenTime(t *testing.T) {
	got, err := parseSteal([]byte("cpu  26744 0 11016 81605 508 0 386 1234 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n"))
	require.NoError(t, err)
	require.Equal(t, 12340*time.Millisecond, got)
	for _, stat := range []string{"", "cpu 1 2 3", "cpu0 1 2 3 4 5 6 7 8 9 10\n", "cpu  1 2 3 4 5 6 7 x 9 10\n"} {
		_, err := parseSteal([]byte(stat))
		require.Error(t, err, stat)
	}

	_, err = StolenTime()
	require.NoError(t, err)
}
