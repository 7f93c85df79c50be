package main

import (
	"math"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestGroupLimit(t *testing.T) {
	files := func(pairs ...string) fstest.MapFS {
		fsys := fstest.MapFS{}
		for i := 0; i < len(pairs); i += 2 {
			fsys[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1] + "\n")}
		}
		return fsys
	}
	for _, tt := range []struct {
		name, groups string
		mounted      fstest.MapFS
		want         float64
	}{
		{"nothing", "", files(), math.Inf(1)},
		{"version 2, in a container", "0::/\n", files("cpu.max", "50000 100000"), 0.5},
		{"version 2, no limit", "0::/\n", files("cpu.max", "max 100000"), math.Inf(1)},
		{"version 2, on the host", "0::/a/b\n", files("a/b/cpu.max", "max 100000", "a/cpu.max", "150000 100000"), 1.5},
		{"version 2, the path of the host in a container", "0::/docker/1234\n", files("cpu.max", "300000 100000"), 3},
		{"version 2, outside of its namespace", "0::/../../b\n", files("cpu.max", "200000 100000"), 2},
		{"version 1, in a container", "5:cpuset:/docker/1234\n4:cpu,cpuacct:/docker/1234\n0::/docker/1234\n",
			files("cpu/cpu.cfs_quota_us", "50000", "cpu/cpu.cfs_period_us", "100000"), 0.5},
		{"version 1, on the host", "4:cpu:/a/b\n",
			files("cpu/a/b/cpu.cfs_quota_us", "25000", "cpu/a/b/cpu.cfs_period_us", "100000",
				"cpu/cpu.cfs_quota_us", "-1", "cpu/cpu.cfs_period_us", "100000"), 0.25},
		{"version 1, no limit", "4:cpu:/\n", files("cpu/cpu.cfs_quota_us", "-1", "cpu/cpu.cfs_period_us", "100000"),
			math.Inf(1)},
		{"of another group", "4:cpu:/a\n", files("cpu/b/cpu.cfs_quota_us", "50000", "cpu/b/cpu.cfs_period_us", "100000"),
			math.Inf(1)},
		{"nonsense", "x\n4:cpu\n0::\n", files("cpu.max", "a b", "cpu/cpu.cfs_quota_us", "1", "cpu/cpu.cfs_period_us", "0"),
			math.Inf(1)},
	} {
		t.Run(tt.name, func(t *testing.T) { require.Equal(t, tt.want, groupLimit(tt.mounted, tt.groups)) })
	}
}
