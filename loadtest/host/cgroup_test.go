package host

import (
	"math"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

func mounted(pairs ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		fsys[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return fsys
}

func TestGroupDirs(t *testing.T) {
	for groups, want := range map[string][]string{
		"":                        nil,
		"0::/\n":                  {"."},
		"0::/a/b\n":               {"a/b", "a", "."},
		"0::/../b\n":              {"b", "."},
		"3:memory:/x\n0::/\n":     {"."},
		"4:cpu,cpuacct:/docker/1": {"cpu/docker/1", "cpu/docker", "cpu"},
		"4:cpu:/\n0::/a\n":        {"cpu", "a", "."},
		"5:cpuset:/a\nx\n":        {"."},
	} {
		require.Equal(t, want, groupDirs(groups), groups)
	}
}

func TestQuota(t *testing.T) {
	for _, tt := range []struct {
		files fstest.MapFS
		want  float64
	}{
		{mounted(), math.Inf(1)},
		{mounted("a/cpu.max", "50000 100000\n"), 0.5},
		{mounted("a/cpu.max", "max 100000\n"), math.Inf(1)},
		{mounted("a/cpu.cfs_quota_us", "150000\n", "a/cpu.cfs_period_us", "100000\n"), 1.5},
		{mounted("a/cpu.cfs_quota_us", "-1\n", "a/cpu.cfs_period_us", "100000\n"), math.Inf(1)},
		{mounted("a/cpu.max", "1 0\n"), math.Inf(1)},
	} {
		require.Equal(t, tt.want, quota(tt.files, "a"))
	}
}

func TestWithheldTime(t *testing.T) {
	for _, tt := range []struct {
		files fstest.MapFS
		want  time.Duration
	}{
		{mounted(), 0},
		{mounted("cpu/cpu.stat", "nr_throttled 2\nthrottled_time 1500\n"), 1500 * time.Nanosecond}, // version 1
		{mounted("cpu/a/cpu.stat", "throttled_usec 1500\n", "cpu/cpu.stat", "throttled_usec 9\n"), 1500 * time.Microsecond},
		{mounted("cpu/a/cpu.stat", "usage_usec 5\n", "cpu/cpu.stat", "throttled_usec 9\n"), 9 * time.Microsecond},
	} {
		got, err := withheldTime(tt.files, []string{"cpu/a", "cpu"})
		require.NoError(t, err)
		require.Equal(t, tt.want, got)
	}
	_, err := withheldTime(mounted("cpu/cpu.stat", "throttled_usec x\n"), []string{"cpu"})
	require.Error(t, err)
}
