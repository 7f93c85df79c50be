//go:build linux

package prefork_test

import (
	"context"
	"crypto/tls"
	"log"
	"net/http"

	"rampart/server/prefork"
)

// HTTPS and HTTP/2. Master and workers read the certificate, so one that is missing is an error
// before anything is started, and a reload takes a new one.
func Example() {
	worker, err := prefork.Attach()
	if err != nil {
		log.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair("cert.pem", "key.pem")
	if err != nil {
		log.Fatal(err)
	}
	if worker != nil {
		err = worker.Serve(&http.Server{TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}})
	} else {
		err = prefork.Run(context.Background(), prefork.Config{Addr: ":8443", Workers: 4})
	}
	if err != nil {
		log.Fatal(err)
	}
}
