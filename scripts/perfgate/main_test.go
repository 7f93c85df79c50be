package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"perfgate": main, "stub": stub}) }

// stub is a server that spins for each request, twice as long with the argument slow; with fails it fails each tenth.
func stub() {
	work := time.Millisecond
	if slices.Contains(os.Args, "slow") {
		work *= 2
	}
	fails := slices.Contains(os.Args, "fails")
	var served atomic.Int64
	err := http.ListenAndServe(os.Args[1], http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if served.Add(1)%10 == 0 && fails {
			fmt.Fprintln(os.Stderr, "I am tired")
			http.Error(w, "tired", http.StatusServiceUnavailable)
		}
		for begun := time.Now(); time.Since(begun) < work; {
		}
	}))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("..", "..", "testdata", "perfgate"),
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
				_, err := rand.NewChaCha8([32]byte{}).Read(content)
				ts.Check(err)
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), content, 0o666))
			},
		},
		UpdateScripts:       *update,
		RequireExplicitExec: true,
	})
}
