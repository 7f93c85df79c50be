package inject

import (
	"flag"
	"io"
	"log"
	"os"
	"strconv"
	"testing"
)

// children are what the test binary does instead of testing where the environment says so: what
// needs a process of its own.
var children = map[string]func(){}

// child is the name of the environment's variable.
const child = "RAMPART_INJECT_CHILD"

// waiters is how many tests run at the same time at least: nearly all of them wait for a timeout
// and need no processor.
const waiters = 24

func TestMain(m *testing.M) {
	if f := children[os.Getenv(child)]; f != nil {
		f()
		return
	}
	flag.Parse()
	if n := flag.Lookup("test.parallel"); n.Value.(flag.Getter).Get().(int) < waiters {
		n.Value.Set(strconv.Itoa(waiters))
	}
	log.SetOutput(io.Discard) // package net/http logs what servers do wrong in HTTP/2
	os.Exit(m.Run())
}
