package inject

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCeiling(t *testing.T) {
	x, err := Ceiling(t.Context(), 32, 100*time.Millisecond)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("no event loop on this system")
	}
	require.NoError(t, err)
	require.Greater(t, x, 1000.0)
}
