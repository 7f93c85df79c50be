//go:build !load

package loadtest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/host"
	"rampart/loadtest/inject"
)

func TestParseContender(t *testing.T) {
	for in, want := range map[string]Contender{
		"./server -addr {addr}":        {Command: "./server -addr {addr}"},
		"PORT=1 ./a --listen={addr} x": {Command: "PORT=1 ./a --listen={addr} x"},
		"localhost:8080":               {Address: "localhost:8080"},
		"[::1]:80":                     {Address: "[::1]:80"},
		"http://localhost:80":          {Address: "http://localhost:80"},
		"https://localhost":            {Address: "https://localhost"},
		"unix:/run/app.sock":           {Address: "unix:/run/app.sock"},
		"auth:8080":                    {Address: "auth:8080"},
	} {
		got, err := ParseContender(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got)
		require.Equal(t, in, got.String())
	}
	for _, in := range []string{"", "./server", "localhost", "localhost:", "http://localhost:80/x", "http://me:pw@localhost:80", "./server localhost:80", "ftp://localhost:80", "unix:"} {
		_, err := ParseContender(in)
		require.ErrorContains(t, err, "want a command line with {addr}", in)
	}
}

// TestContenderHidesSecrets holds that what a command line has of secrets is shown nowhere, and the
// rest is.
func TestContenderHidesSecrets(t *testing.T) {
	for in, want := range map[string]string{
		"DB=postgres://me:topsecret@db/x ./a {addr}":        "DB=postgres://xxxxx@db/x ./a {addr}",
		"SECRET_KEY=topsecret ./a -addr {addr}":             "SECRET_KEY=xxxxx ./a -addr {addr}",
		"API_TOKEN='a topsecret' ./a {addr}":                "API_TOKEN=xxxxx ./a {addr}",
		"./a --password topsecret {addr}":                   "./a --password xxxxx {addr}",
		"./a --auth-token=topsecret -x {addr}":              "./a --auth-token=xxxxx -x {addr}",
		"./a -H 'Authorization: Bearer topsecret' {addr}":   "./a -H 'Authorization: xxxxx' {addr}",
		"./a -H 'Cookie: id=topsecret; b=topsecret' {addr}": "./a -H 'Cookie: xxxxx' {addr}",
		"./a -H 'X: Bearer topsecret' {addr}":               "./a -H 'X: Bearer xxxxx' {addr}",
		`./a -d '{"password": "topsecret"}' {addr}`:         `./a -d '{"password": xxxxx}' {addr}`,
		`./a -d "{\"apiKey\":\"topsecret\"}" {addr}`:        `./a -d "{\"apiKey\":xxxxx}" {addr}`,
		"DB_PASS=topsecret ./a {addr}":                      "DB_PASS=xxxxx ./a {addr}",
		"MYSQL_PWD=topsecret ./a --pass topsecret {addr}":   "MYSQL_PWD=xxxxx ./a --pass xxxxx {addr}",
		"TOKEN=-topsecret ./a {addr}":                       "TOKEN=xxxxx ./a {addr}",
		`TOKEN=a\ topsecret ./a {addr}`:                     "TOKEN=xxxxx ./a {addr}",
		`TOKEN='a'"topsecret"topsecret ./a {addr}`:          "TOKEN=xxxxx ./a {addr}",
		`TOKEN="a\"topsecret" ./a {addr}`:                   "TOKEN=xxxxx ./a {addr}",
		"./a -u me:topsecret --user=me:topsecret {addr}":    "./a -u me:xxxxx --user=me:xxxxx {addr}",
		"./a --key={addr}":                                  "./a --key={addr}",
		"./a -u {addr}":                                     "./a -u {addr}",
		"./keyserver start -tokens {addr}":                  "./keyserver start -tokens {addr}",
		"exec python3 -m http.server --bind {addr} -d /srv": "exec python3 -m http.server --bind {addr} -d /srv",
	} {
		c, err := ParseContender(in)
		require.NoError(t, err, in)
		require.Equal(t, in, c.Command)
		require.Equal(t, want, c.String())
	}
	for _, in := range []string{"me:topsecret@host:1", "http://me:topsecret@host", "TOKEN=topsecret ./a", "TOKEN=topsecret",
		"me:topsecret", "./a --key topsecret"} {
		_, err := ParseContender(in)
		require.Error(t, err, in)
		require.NotContains(t, err.Error(), "topsecret", in)
	}
}

// TestServerSaysNoSecretOfItsCommand holds that what a command hides is hidden in the last words of
// its server, too.
func TestServerSaysNoSecretOfItsCommand(t *testing.T) {
	c := Contender{Command: `TOKEN='a topsecret' MODE_KEY=off sh -c 'echo "have $TOKEN, $MODE_KEY"; exit 1' # {addr}`}
	_, err := c.start(t.Context(), host.Affinity{}, requestOf(t, "/"), time.Second)
	require.ErrorContains(t, err, "have ***, off")
	require.NotContains(t, err.Error(), "topsecret")
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
			_, err := tt.contender.start(t.Context(), host.Affinity{}, requestOf(t, "/"), time.Second)
			for _, want := range tt.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

func TestContenderThatRunsAlready(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = append(asked, r.RequestURI) }))
	defer server.Close()
	c := Contender{Address: server.Listener.Addr().String(), URI: "/own?a=b"}
	running, err := c.start(t.Context(), host.Affinity{}, requestOf(t, "/both"), time.Second)
	require.NoError(t, err)
	require.Contains(t, asked, "/own?a=b")
	require.NotContains(t, asked, "/both")
	require.NoError(t, running.stop(), "it is not ours to stop")
	require.NoError(t, running.target.Probe(t.Context(), time.Second))
}

func TestRequestURL(t *testing.T) {
	u, err := RequestURL("/a%20b?c=d&e")
	require.NoError(t, err)
	require.Equal(t, "/a%20b?c=d&e", u.RequestURI())
	u, err = RequestURL("/a b/é?c=d e#part")
	require.NoError(t, err)
	require.Equal(t, "/a%20b/%C3%A9?c=d%20e", u.RequestURI())
	for _, in := range []string{"", "a", "http://host/", "*", "/a\nb"} {
		_, err := RequestURL(in)
		require.ErrorContains(t, err, "want the path of a URL", in)
	}
}

// TestInterruptInTheFirstRequest holds that Ctrl-C before there is an answer says nothing of a
// contender, whose handshake hangs, or whose answer does.
func TestInterruptInTheFirstRequest(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close() // it never accepts
	errPressed := errors.New("somebody pressed Ctrl-C")
	for _, scheme := range []string{"http://", "https://"} {
		t.Run(scheme, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer time.AfterFunc(50*time.Millisecond, func() { cancel(errPressed) }).Stop()
			begun := time.Now()
			c := Contender{Address: scheme + l.Addr().String()}
			_, err := c.start(ctx, host.Affinity{}, requestOf(t, "/"), time.Minute)
			require.ErrorIs(t, err, errPressed)
			require.NotContains(t, err.Error(), "TLS")
			require.NotContains(t, err.Error(), "serve")
			require.Less(t, time.Since(begun), 10*time.Second)
		})
	}
}
