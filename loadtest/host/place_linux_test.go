package host

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSameServer has addresses of one server that are written in other ways, and of two.
func TestSameServer(t *testing.T) {
	listen := func(network, address string) (port string) {
		l, err := net.Listen(network, address)
		require.NoError(t, err)
		t.Cleanup(func() { l.Close() })
		_, port, err = net.SplitHostPort(l.Addr().String())
		require.NoError(t, err)
		return port
	}
	one, any4 := listen("tcp4", "127.0.0.1:0"), listen("tcp4", "0.0.0.0:0")
	dir := t.TempDir()
	at, link, other := filepath.Join(dir, "at"), filepath.Join(dir, "link"), filepath.Join(dir, "other")
	for _, path := range []string{at, other} {
		l, err := net.Listen("unix", path)
		require.NoError(t, err)
		defer l.Close()
	}
	require.NoError(t, os.Symlink(at, link))
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"127.0.0.1:" + one, "127.0.0.1:" + one, true},
		{"127.0.0.1:" + one, "[::ffff:127.0.0.1]:" + one, true},
		{"127.0.0.1:" + one, "0.0.0.0:" + one, true},
		{"[::1]:" + one, "[0:0:0:0:0:0:0:1]:" + one, true},
		{"[::]:" + one, "[::1]:" + one, true},
		{"127.0.0.1:" + any4, "127.0.0.2:" + any4, true},
		{"127.0.0.1:" + one, "127.0.0.2:" + one, false},
		{"127.0.0.1:" + one, "127.0.0.1:" + any4, false},
		{"192.0.2.1:80", "192.0.2.1:80", true},
		{"192.0.2.1:80", "192.0.2.2:80", false},
		{"192.0.2.1:80", "192.0.2.1:81", false},
		{"[fe80::1%a]:80", "[fe80::1%b]:80", false},
		{"127.0.0.1:" + one, at, false},
		{at, at, true},
		{at, link, true},
		{at, other, false},
	} {
		require.Equal(t, tt.want, SameServer(tt.a, tt.b), "%s and %s", tt.a, tt.b)
		require.Equal(t, tt.want, SameServer(tt.b, tt.a), "%s and %s", tt.b, tt.a)
	}

	if l, err := net.Listen("tcp", "[::]:0"); err == nil { // of both protocols
		defer l.Close()
		_, port, err := net.SplitHostPort(l.Addr().String())
		require.NoError(t, err)
		require.True(t, SameServer("127.0.0.1:"+port, "[::1]:"+port))
	}
}

// TestNoAddressInParticular holds that what leads to loopback is on this machine.
func TestNoAddressInParticular(t *testing.T) {
	cmd, words := play(t, "serve 127.0.0.1:0")
	_, port, err := net.SplitHostPort(words[0])
	require.NoError(t, err)
	require.Positive(t, cmd.Process.Pid)
	for _, address := range []string{"0.0.0.0:" + port, "[::ffff:127.0.0.1]:" + port} {
		_, err := ServerCPU(address, Launch{})()
		require.NoError(t, err, address)
		require.False(t, Elsewhere(address), address)
	}
	require.False(t, Elsewhere("[::]:80"))
}

// TestUnixSocketByAnotherPath holds that a server is found by whatever path leads to its socket.
func TestUnixSocketByAnotherPath(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "a socket"), filepath.Join(dir, "link")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer l.Close()
	require.NoError(t, os.Symlink(path, link))
	want, err := serverSockets(path)
	require.NoError(t, err)
	require.NotEmpty(t, want)
	for _, other := range []string{link, dir + "/../" + filepath.Base(dir) + "/a socket"} {
		got, err := serverSockets(other)
		require.NoError(t, err)
		require.Equal(t, want, got, other)
	}
}
