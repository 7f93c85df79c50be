//go:build linux

package prefork

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The example is built in a module of its own, and reloads under load as the supervisor's own tests
// do.
func TestExampleInAnotherModule(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	dir := t.TempDir()
	source, err := os.ReadFile(filepath.Join(root, "testdata/prefork/example/main.go"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), source, 0o600))
	// What this module needs, that one needs too, in the same versions.
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	own, _, _ := bytes.Cut(mod, []byte("\ntool "))
	text := strings.Replace(string(own), "module rampart", "module example.org/hello", 1) +
		"\nrequire rampart v0.0.0\nreplace rampart => " + root + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o600))
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.sum"), sum, 0o600))
	build := exec.Command("go", "build", "-o", "example", ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	s := startCommand(t, exec.Command(filepath.Join(dir, "example")), "").listening()
	clients := s.startClients(4, "/", thinking)
	for n := range 3 {
		s.signal(unix.SIGHUP)
		eventually(t, "reloaded", func() bool { return strings.Count(s.text(), "reloaded") == n+1 })
	}
	s.signal(unix.SIGTERM)
	require.Equal(t, 0, s.wait())
	clients.group.Wait()
	clients.end()
}

// certificate makes one for 127.0.0.1, and its key, in a file for both.
func certificate(t *testing.T) (path string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	path = filepath.Join(t.TempDir(), "pem")
	require.NoError(t,
		os.WriteFile(path, append(cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...), 0o600))
	pool = x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(cert))
	return path, pool
}

// HTTPS, as HTTP/1.1 and HTTP/2, under reloads and to the stop. net/http's client sends a GET again
// that the server has not begun to answer.
func TestReloadWithTLS(t *testing.T) {
	t.Parallel()
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			path, pool := certificate(t)
			s := startServer(t, Config{Workers: 2, Counters: 1, Gauges: 1}, tlsEnv+"="+path)
			var answers atomic.Int64
			ctx, cancel := context.WithCancel(t.Context())
			var group sync.WaitGroup
			failures := make(chan error, 100)
			for range 4 {
				group.Go(func() {
					transport := &http.Transport{
						TLSClientConfig:   &tls.Config{RootCAs: pool},
						ForceAttemptHTTP2: proto == "HTTP/2.0",
					}
					defer transport.CloseIdleConnections()
					client := &http.Client{Transport: transport, Timeout: late}
					for ctx.Err() == nil {
						res, err := client.Get("https://" + s.addr + "/sleep?d=1ms")
						if err != nil {
							failures <- err
							return
						}
						if res.Proto != proto || res.StatusCode != http.StatusOK {
							t.Errorf("%s %s", res.Proto, res.Status)
						}
						res.Body.Close()
						answers.Add(1)
						thinking()
					}
				})
			}
			eventually(t, "load", func() bool { return answers.Load() > 20 })
			for n := range often(3, 10) {
				s.signal(unix.SIGHUP)
				eventually(t, "reloaded", func() bool { return strings.Count(s.text(), "msg=reloaded") == n+1 })
			}
			// A certificate that cannot be read does not replace the one that is served.
			require.NoError(t, os.Rename(path, path+".away"))
			s.signal(unix.SIGHUP)
			s.waitLog("reload failed", "exit status 1")
			s.waitLog("certificate: open " + path + ": no such file or directory")
			before := answers.Load()
			eventually(t, "load", func() bool { return answers.Load() > before+20 })
			cancel()
			group.Wait()
			close(failures)
			for err := range failures {
				require.NoError(t, err)
			}
			start := time.Now()
			s.signal(unix.SIGTERM)
			require.Equal(t, 0, s.wait())
			require.Less(t, time.Since(start), quick)
			require.NotContains(t, s.text(), "killing worker")
		})
	}
}
