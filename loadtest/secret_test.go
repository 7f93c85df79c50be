//go:build !load

package loadtest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNoSecretIsShown puts a secret into every variable that can hold one, in every way that may go
// wrong, and looks for it in all that the client prints and writes. The server sends all that it
// gets back.
func TestNoSecretIsShown(t *testing.T) {
	dir, err := client()
	require.NoError(t, err)
	parrot := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/good" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		user, password, _ := r.BasicAuth()
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintln(w, "no access for", user, password, r.Header, string(body))
	}))
	defer parrot.Close()
	at, closed := parrot.Listener.Addr().String(), fakes(t.Cleanup)["CLOSED"]
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "requests.txt")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	with := "SERVER=http://topsecret:topsecret@"
	for _, vars := range [][]string{
		{"HEADERS=Authorization Bearer topsecret"},
		{"HEADERS=X: y\nAuthorization Bearer topsecret"},
		{"HEADERS=X: y\n Authorization: Bearer topsecret"},
		{"HEADERS=X: y\n\ntopsecret"},
		{"HEADERS=topsecret"},
		{"HEADERS=Bearer topsecret: Authorization"},
		{"HEADERS=: topsecret"},
		{"HEADERS=Authorization : Bearer topsecret"},
		{"HEADERS=Authorization: Bearer topsecret\x01"},
		{"HEADERS=Authorization: Bearer topsecret\xff"},
		{"HEADERS=Authorization: Bearer topsecret\xff", "ENGINE=k6"},
		{"HEADERS=Authorization: Bearer topsecret\nContent-Length: topsecret"},
		{"HEADERS=Transfer-Encoding: topsecret"},
		{"HEADERS=Cookie: a=topsecret; b=topsecret"},
		{"HEADERS=Authorization: Bearer topsecret"},
		{"HEADERS=Authorization: Bearer topsecret", "SERVER=" + closed},
		{"HEADERS=Authorization: Bearer topsecret", "SERVER=https://" + at},
		{"HEADERS=Authorization: Bearer topsecret", "SERVER=" + at + "/good"},
		{"HEADERS=Authorization: Bearer topsecret", "BASELINE=" + closed, "CANDIDATE=" + at},
		{"HEADERS=Authorization: Bearer topsecret", "BASELINE=" + at, "CANDIDATE=env | grep HEADERS; exit 1 # {addr}"},
		{`BODY=@{"password":"topsecret"}`},
		{"HEADERS=@topsecret"},
		{"CERT=topsecret"},
		{"KEY=topsecret"},
		{"CERT=topsecret", "KEY=topsecret", "SERVER=https://" + at},
		{"CACERT=topsecret", "SERVER=https://" + at},
		{"TARGETS=" + file("POST /\nX-Token: topsecret\nX-A topsecret\n")},
		{"TARGETS=" + file("POST /\nX-Token: topsecret\n@missing\n")},
		{"TARGETS=" + file("POST /\nX-Token: topsecret\nCookie: a=topsecret\n"), "COOKIES=on"},
		{"TARGETS=" + file(`{"url": "/", "body": "dG9wc2VjcmV0"}`)},
		{"TARGETS=" + file(`{"url": "/", "body": "topsecret!"}`)},
		{"TARGETS=" + file(`{"url": "http://me:topsecret@h/"}`)},
		{"TARGETS=" + file("GET /good\n"), "FIRST=" + file("POST /login\nX-Token: topsecret\n")},
		{"BASELINE=" + at, "CANDIDATE=" + at, "FIRST=" + file("POST /login\nX-Token: topsecret\n")},
		{"BODY=@topsecret"},
		{"BODY=@/topsecret/topsecret"},
		{"BODY=@" + strings.Repeat("/topsecret", 500)},
		{"BODY=@."},
		{`BODY={"password":"topsecret"}`},
		{`BODY={"password":"topsecret"}`, "SERVER=" + at + "/good"},
		{`BODY={"password":"topsecret"}`, "METHOD=topsecret@"},
		{with + at},
		{with + at + "/good"},
		{with + closed},
		{with + "no-such-name.invalid/"},
		{with},
		{with + ":x/"},
		{with + "a b/"},
		{with + "h:99999/"},
		{with + "h/%zz"},
		{with + "[::1/"},
		{with + at, "ENGINE=k6"},
		{with + at, "ENGINE=k7"},
		{with + "h:1", "BASELINE=" + with + "h:1", "CANDIDATE=" + with + "h"},
		{strings.Replace(with, "http", "https", 1) + at},
		{strings.Replace(with, "http", "ftp", 1) + at},
		{"SERVER=http:/me:topsecret@h/"},
		{"SERVER=me:topsecret"},
		{"SERVER=http://me:topsecret"},
		{"SERVER=http://me:12/topsecret@h/"},
		{"SERVER=http://me:12?topsecret@h/"},
		{"SERVER=http://me:12#topsecret@h/"},
		{"SERVER=http://me:100%topsecret@h/"},
		{"SERVER=http://me:top\nsecret@h/topsecret@x"},
		{"SERVER=me@topsecret@h:x"},
		{"METHOD=http://me:topsecret@h/"},
		{"DURATION=http://me:topsecret@h/"},
		{"STOP=http://me:topsecret@h/"},
		{"BASELINE=me:topsecret@" + at, "CANDIDATE=" + at},
		{"BASELINE=" + at, "CANDIDATE=http://me:topsecret@" + at},
		{"BASELINE=TOKEN=topsecret ./server", "CANDIDATE=./server --password topsecret"},
		{"BASELINE=DB=postgres://me:topsecret@db/x false {addr}", "CANDIDATE=API_KEY=topsecret false {addr}"},
		{"SERVER=unix:/s", "BASELINE=me:topsecret@h:1", "CANDIDATE=TOKEN=topsecret ./a {addr}"},
		{"SERVR=http://me:topsecret@h/", "SERVER=" + closed},
		{"HEADER=Authorization: Bearer topsecret", "SERVER=" + closed},
	} {
		t.Run("", func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "client"), "-test.run", "TestRamp|TestDuel", "-test.v")
			cmd.Dir = t.TempDir()
			cmd.Env = append(os.Environ(), "CI=true", "DURATION=20ms", "MAX_VUS=1", "REQUEST_TIMEOUT=1s", "SERVER="+at)
			cmd.Env = append(cmd.Env, vars...)
			out, err := cmd.CombinedOutput()
			require.NotEmpty(t, out)
			good := strings.HasSuffix(vars[len(vars)-1], "/good")
			require.Equal(t, good, err == nil, "%q: %v: %s", vars, err, out)
			written := out
			require.NoError(t, filepath.WalkDir(cmd.Dir, func(path string, d fs.DirEntry, err error) error {
				if err == nil && d.Type().IsRegular() {
					var b []byte
					b, err = os.ReadFile(path)
					written = append(written, b...)
				}
				return err
			}))
			for _, never := range []string{"topsecret", base64.StdEncoding.EncodeToString([]byte("topsecret:topsecret"))[:16]} {
				if i := bytes.Index(written, []byte(never)); i >= 0 {
					t.Fatalf("%q: %s", vars, written[max(0, i-200):min(len(written), i+100)])
				}
			}
		})
	}
}
