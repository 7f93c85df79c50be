//go:build !load

package loadtest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestLimitInMidRamp: a ramp that came to a limit of the injector lost its table, its summary and
// its last line. It is taken away the files in the second level.
func TestLimitInMidRamp(t *testing.T) {
	dir, err := client()
	require.NoError(t, err)
	for scheme, server := range map[string]string{"http": "GOOD", "https": "SECURE"} {
		t.Run(scheme, func(t *testing.T) {
			cmd := exec.Command(filepath.Join(dir, "client"), "-test.run", "TestRamp")
			cmd.Dir = t.TempDir()
			cmd.Env = append(os.Environ(), "SERVER="+scheme+"://"+fakes(t.Cleanup)[server]+"/", "INSECURE=1", "DURATION=300ms",
				"MAX_VUS=256", "STOP=classic", "CI=true")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			stdout, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			var out strings.Builder
			for buf := make([]byte, 1024); ; {
				n, err := stdout.Read(buf)
				out.Write(buf[:n])
				if err != nil {
					break
				}
				if strings.Contains(string(buf[:n]), "with 1 vus") { // files for 6 VUs, and for other things
					open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", cmd.Process.Pid))
					require.NoError(t, err)
					few := unix.Rlimit{Cur: uint64(len(open) + 53), Max: uint64(len(open) + 53)}
					require.NoError(t, unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_NOFILE, &few, nil))
				}
			}
			var exit *exec.ExitError
			require.ErrorAs(t, cmd.Wait(), &exit)
			require.Equal(t, 1, exit.ExitCode(), "%s%s", out.String(), stderr.String())
			require.Regexp(t, `stop reason: canceled \(in the level of 8 vus: .*this process may open only`, stderr.String())
			require.Contains(t, stderr.String(), "capacity: ")
			require.Regexp(t, `(?s)^(Injecting [^\n]*res_failed=0\n)+--- FAIL.*this process may open only.*FAIL\n\n`+
				`vus,rps,resp_time,req_failed\n1,[^\n]*\n2,[^\n]*\n4,.*\n$`, out.String())
			csv, err := os.ReadFile(filepath.Join(cmd.Dir, "results", "latest", "ramp.csv"))
			require.NoError(t, err)
			require.True(t, strings.HasSuffix(out.String(), string(csv)), "%s", csv)
			doc, err := os.ReadFile(filepath.Join(cmd.Dir, "results", "latest", "result.json"))
			require.NoError(t, err)
			require.Contains(t, string(doc), `"reason": "canceled"`)
		})
	}
}
