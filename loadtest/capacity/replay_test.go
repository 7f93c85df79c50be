package capacity

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var lineFormat = regexp.MustCompile(`^Injecting with (\d+) vus\. rps=(\S+) resp_time=(\S+) res_failed=(\d+)$`)

// TestReplay feeds the levels of real ramps of the original to the rule, which must accept the rows
// that the original accepted and stop where it stopped.
func TestReplay(t *testing.T) {
	for name, reason := range map[string]StopReason{"readme-ramp.txt": Knee, "flask-gunicorn-k6.txt": Knee} {
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "capacity", name))
			require.NoError(t, err)
			lines, csv, ok := strings.Cut(strings.TrimSpace(string(b)), "\n\n")
			require.True(t, ok)

			got := "vus,rps,resp_time,req_failed\n"
			var prev Level
			var last Decision
			for line := range strings.SplitSeq(lines, "\n") {
				require.Empty(t, last.Stop, "the original went on to %q", line)
				m := lineFormat.FindStringSubmatch(line)
				require.NotNil(t, m, line)
				var this Level
				this.VUs, _ = strconv.Atoi(m[1])
				this.Throughput, _ = strconv.ParseFloat(m[2], 64)
				this.Failures, _ = strconv.ParseUint(m[4], 10, 64)
				if last.Next != 0 {
					require.Equal(t, last.Next, this.VUs)
				}
				last = Classic(prev, this, 4096)
				if last.Accepted {
					got += fmt.Sprintf("%s,%s,%s,%s\n", m[1], m[2], m[3], m[4])
				}
				prev = this
			}
			require.Equal(t, reason, last.Stop)
			require.Equal(t, csv+"\n", got)
		})
	}
}
