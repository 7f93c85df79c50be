package lab

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadClient reads what a client leaves, and refuses what would be read in part.
func TestReadClient(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	const result = `{"version":1,"kind":"levels","levels":[{"vus":3,"window_ns":5}]}`
	for text, want := range map[string]string{
		result:                                  "",
		"\n{\n" + result[1:] + "\n":             "",
		"Injecting\nPASS\n" + result + "\n":     "",
		"Injecting\nPASS\n" + result:            "",
		"":                                      "holds none",
		"FAIL\n":                                "holds none",
		"PASS\n" + result[:20]:                  "unexpected EOF",
		result + "\n" + result:                  "something comes after the result",
		"PASS\n" + result + "\nPASS\n" + result: "something comes after the result",
		`{"version":9}`:                         "version 9",
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
		r, err := ReadClient(path)
		if want == "" {
			require.NoError(t, err, text)
			require.Equal(t, 3, r.Levels[0].VUs)
			continue
		}
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, path)
	}
}
