// Command example is a server with worker processes, in another module.
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"

	"rampart/server/prefork"
)

func main() {
	worker, err := prefork.Attach()
	if worker != nil {
		err = worker.Serve(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(w, "hello")
		})})
	} else if err == nil {
		err = prefork.Run(context.Background(), prefork.Config{Addr: "127.0.0.1:0", Workers: 2, Log: slog.Default(),
			Ready: func(a net.Addr) { fmt.Println("listening on", a) }})
	}
	if err != nil {
		log.Fatal(err)
	}
}
