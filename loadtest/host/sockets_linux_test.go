package host

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseKernelAddr(t *testing.T) {
	for in, want := range map[string]string{
		"0100007F:1F90":                         "127.0.0.1:8080",
		"00000000:0050":                         "0.0.0.0:80",
		"00000000000000000000000001000000:1F90": "[::1]:8080",
		"0000000000000000FFFF00000100007F:1F90": "127.0.0.1:8080",
	} {
		got, v6, ok := parseKernelAddr(in)
		require.True(t, ok)
		require.Equal(t, netip.MustParseAddrPort(want), got)
		require.Equal(t, len(in) > 20, v6)
	}
	for _, in := range []string{"", "0100007F", "01:50", "0100007F:xyz", "0100007F:12345"} {
		_, _, ok := parseKernelAddr(in)
		require.False(t, ok, in)
	}
}

// table is what /proc/net/tcp looks like.
const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101 1 0 100 0 0 10 0
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 102 1 0 100 0 0 10 0
   2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 103 1 0 100 0 0 10 0
   3: 0100007F:1F90 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 104 1 0 100 0 0 10 0
   4: 0100007F:C000 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 105 1 0 100 0 0 10 0
   5: 0100007F:1F90 0100007F:C001 06 00000000:00000000 00:00000000 00000000     0        0 0 1 0 100 0 0 10 0
`

func TestTCPSockets(t *testing.T) {
	found := tcpSockets([]byte(table), 8080)
	require.Len(t, found, 3)
	require.Equal(t, []socket{{"101", true}, {"104", false}}, socketsAt(found, netip.MustParseAddr("127.0.0.1")))
	require.Equal(t, []socket{{"102", true}}, socketsAt(found, netip.MustParseAddr("192.0.2.1")))
	require.Empty(t, tcpSockets(nil, 8080))
}

// TestWhoListens holds which of several listeners on a port gets the connections.
func TestWhoListens(t *testing.T) {
	listener := func(inode, ip string, v6 bool) tcpSocket {
		return tcpSocket{socket{inode, true}, netip.MustParseAddr(ip), v6}
	}
	exact, any4 := listener("exact", "127.0.0.1", false), listener("any4", "0.0.0.0", false)
	any6 := listener("any6", "::", true)
	exact6 := listener("exact6", "::1", true)
	twin := listener("twin", "127.0.0.1", false) // SO_REUSEPORT
	for _, tt := range []struct {
		all  []tcpSocket
		ip   string
		want []string
	}{
		{[]tcpSocket{any4, exact, any6}, "127.0.0.1", []string{"exact"}},
		{[]tcpSocket{exact, twin}, "127.0.0.1", []string{"exact", "twin"}},
		{[]tcpSocket{any6, any4}, "127.0.0.1", []string{"any4"}},
		{[]tcpSocket{any6}, "127.0.0.1", []string{"any6"}},
		{[]tcpSocket{any4, any6}, "::1", []string{"any6"}},
		{[]tcpSocket{any4}, "::1", nil},
		{[]tcpSocket{exact6, any6}, "::1", []string{"exact6"}},
		{[]tcpSocket{exact6}, "127.0.0.1", nil},
	} {
		var got []string
		for _, s := range socketsAt(tt.all, netip.MustParseAddr(tt.ip)) {
			got = append(got, s.inode)
		}
		require.Equal(t, tt.want, got, "%v for %s", tt.all, tt.ip)
	}
}

func TestUnixSockets(t *testing.T) {
	table := `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 201 /run/a b.sock
0000000000000000: 00000003 00000000 00000000 0001 03 202 /run/a b.sock
0000000000000000: 00000003 00000000 00000000 0001 03 203
0000000000000000: 00000002 00000000 00010000 0001 01 204 /run/other.sock
`
	require.Equal(t, []socket{{"201", true}, {"202", false}}, unixSockets([]byte(table), "/run/a b.sock"))
}
