//go:build !load

package loadtest

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
)

func TestParseContender(t *testing.T) {
	for in, want := range map[string]Contender{
		"./server -addr {addr}":        {Command: "./server -addr {addr}"},
		"PORT=1 ./a --listen={addr} x": {Command: "PORT=1 ./a --listen={addr} x"},
		"localhost:8080":               {Address: "localhost:8080"},
		"[::1]:80":                     {Address: "[::1]:80"},
	} {
		got, err := ParseContender(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got)
		require.Equal(t, in, got.String())
	}
	for _, in := range []string{"", "./server", "localhost", "localhost:", "http://localhost:80", "./server localhost:80"} {
		_, err := ParseContender(in)
		require.ErrorContains(t, err, "want a command line with {addr}", in)
	}
}

func requestOf(t *testing.T, uri string) inject.HTTPConfig {
	t.Helper()
	u, err := RequestURL(uri)
	require.NoError(t, err)
	return inject.HTTPConfig{URL: u}
}

func TestContenderThatDoesNotServe(t *testing.T) {
	for name, tt := range map[string]struct {
		contender Contender
		want      []string
	}{
		"ends":     {Contender{Command: "echo no database at {addr} >&2; exit 3"}, []string{"it ended before it served", "no database at 127.0.0.1:"}},
		"no shell": {Contender{Command: "/nonexistent/server {addr}"}, []string{"it ended before it served", "not found"}},
		"nobody":   {Contender{Address: "127.0.0.1:1"}, []string{"127.0.0.1:1: it does not serve", "refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tt.contender.start(t.Context(), affinity{}, requestOf(t, "/"), time.Second)
			for _, want := range tt.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

func TestContenderThatRunsAlready(t *testing.T) {
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = r.RequestURI }))
	defer server.Close()
	c := Contender{Address: server.Listener.Addr().String(), URI: "/own?a=b"}
	running, err := c.start(t.Context(), affinity{}, requestOf(t, "/both"), time.Second)
	require.NoError(t, err)
	require.Equal(t, "/own?a=b", asked)
	require.NoError(t, running.stop(), "it is not ours to stop")
	require.NoError(t, running.target.Probe(t.Context(), time.Second))
}

func TestRequestURL(t *testing.T) {
	u, err := RequestURL("/a%20b?c=d&e")
	require.NoError(t, err)
	require.Equal(t, "/a%20b?c=d&e", u.RequestURI())
	for _, in := range []string{"", "a", "http://host/", "*"} {
		_, err := RequestURL(in)
		require.ErrorContains(t, err, "want the path of a URL", in)
	}
}
