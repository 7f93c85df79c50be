package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"perfgate": main, "stub": stub}) }

// stub is a server that spins for each request, twice as long with the argument slow; with fails it
// fails each tenth. With orders it takes only a POST of a line a=b with a token, with shop only a
// VU that has logged in and asks for its own path. With tls it speaks TLS with the certificate in
// server.pem, to clients who have that in client.pem.
func stub() {
	work := time.Millisecond
	if slices.Contains(os.Args, "slow") {
		work *= 2
	}
	fails := slices.Contains(os.Args, "fails")
	orders, shop := slices.Contains(os.Args, "orders"), slices.Contains(os.Args, "shop")
	var served atomic.Int64
	serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if orders {
			body, err := io.ReadAll(r.Body)
			if err != nil || r.Method != http.MethodPost || string(body) != "a=b\n" || r.Header.Get("X-Token") != "topsecret" {
				http.Error(w, "want POST of a=b with the token", http.StatusBadRequest)
				return
			}
			fmt.Fprintf(w, "order taken over %s", r.Proto)
		}
		if shop {
			if r.URL.Path == "/login" {
				http.SetCookie(w, &http.Cookie{Name: "name", Value: "vu" + r.URL.Query().Get("vu"), Path: "/"})
				return
			}
			if name, err := r.Cookie("name"); err != nil || r.URL.Path != "/"+name.Value {
				http.Error(w, "log in", http.StatusUnauthorized)
				return
			}
		}
		if served.Add(1)%10 == 0 && fails {
			fmt.Fprintln(os.Stderr, "I am tired")
			http.Error(w, "tired", http.StatusServiceUnavailable)
		}
		for begun := time.Now(); time.Since(begun) < work; {
		}
	})
	err := error(nil)
	if slices.Contains(os.Args, "tls") {
		server := &http.Server{Addr: os.Args[1], Handler: serve, TLSConfig: &tls.Config{
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool(),
		}}
		trusted, _ := os.ReadFile("client.pem")
		server.TLSConfig.ClientCAs.AppendCertsFromPEM(trusted)
		err = server.ListenAndServeTLS("server.pem", "server.key")
	} else {
		err = http.ListenAndServe(os.Args[1], serve)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// certify writes NAME.pem and NAME.key: a certificate for app.example that nobody else vouches for,
// and its key.
func certify(dir, name string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"app.example"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for ending, block := range map[string]*pem.Block{
		".pem": {Type: "CERTIFICATE", Bytes: cert}, ".key": {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(filepath.Join(dir, name+ending), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func TestScripts(t *testing.T) {
	// Scripts have a home of their own, and would compile everything anew.
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("..", "..", "testdata", "perfgate"),
		Condition: func(condition string) (bool, error) {
			if condition == "slow" {
				return os.Getenv("SLOW") != "", nil
			}
			return false, fmt.Errorf("no such condition: %s", condition)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// gate CODE ARGUMENT...: perfgate with these arguments ends with this exit code.
			"gate": func(ts *testscript.TestScript, neg bool, args []string) {
				want, err := strconv.Atoi(args[0])
				ts.Check(err)
				got := 0
				err = ts.Exec("perfgate", args[1:]...)
				if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
					got = exit.ExitCode()
				} else {
					ts.Check(err)
				}
				if got != want {
					ts.Fatalf("exit code %d, want %d", got, want)
				}
			},
			// truncate FILE N takes N bytes off the end.
			"truncate": func(ts *testscript.TestScript, neg bool, args []string) {
				n, err := strconv.Atoi(args[1])
				ts.Check(err)
				content := ts.ReadFile(args[0])
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(content[:len(content)-n]), 0o666))
			},
			// garbage FILE writes bytes that mean nothing.
			"garbage": func(ts *testscript.TestScript, neg bool, args []string) {
				content := make([]byte, 1<<20)
				_, err := mathrand.NewChaCha8([32]byte{}).Read(content)
				ts.Check(err)
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), content, 0o666))
			},
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("GOCACHE", strings.TrimSpace(string(cache)))
			if err := errors.Join(certify(env.WorkDir, "server"), certify(env.WorkDir, "client")); err != nil {
				return err
			}
			env.Setenv("HOME", filepath.Join(env.WorkDir, ".home")) // the go command writes there, too
			return nil
		},
		UpdateScripts:       *update,
		RequireExplicitExec: true,
	})
}
