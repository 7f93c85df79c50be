package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"time"
)

// config is what flags and environment say.
type config struct {
	addr                           string
	workers                        int
	grace, timeout                 time.Duration
	maxRequests, maxRequestsJitter int
	pidFile, logFile               string
	secret                         string
	version, health                bool
}

const usage = `Usage: server [flags]

Serves a workload of known cost: GET /?it1=A&it2=B runs A times B iterations.
Also /healthz, /metrics (Prometheus, over all workers) and, with SECRET_KEY, /admin/status and /admin/pprof/.

Every flag has an environment variable; the flag beats the variable.

`

const usageEnd = `
  SECRET_KEY (environment only)
    	bearer token of /admin; without it everything there answers 404

Signals: TERM lets requests finish, for as long as -grace; INT and QUIT stop at once. HUP replaces
the workers one by one by new ones of the program that is on disk now, USR2 master and workers; TTIN
and TTOU add a worker and take one away. USR1 opens the log file again. A TERM that comes a second
after another one stops at once.
Exit codes: 0 stopped, 1 error, 2 wrong flag or variable, 3 no worker became ready.
`

// parseConfig reads flags, and variables where a flag is not given. A variable that is empty counts
// as unset. The error names the flag or variable, its value and what would be right.
func parseConfig(args []string, getenv func(string) string, stderr io.Writer) (config, error) {
	c := config{secret: getenv("SECRET_KEY")}
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the caller prints the error; the package would add the whole help to it
	var errs []error
	variables := make(map[string]error) // of each flag, where the value is no good
	define := func(name, variable, value, help string, parse func(string) error) {
		if err := parse(value); err != nil {
			panic(fmt.Sprintf("default of -%s: %v", name, err))
		}
		shown := fmt.Sprintf("%s (environment %s, default %s)", help, variable, value)
		if v := getenv(variable); v != "" {
			if err := parse(v); err != nil {
				variables[name] = fmt.Errorf("%s=%q: %w", variable, v, err)
			}
		}
		flags.Func(name, shown, parse)
	}
	define("addr", "BIND", "127.0.0.1:8080", "listen on `host:port`; port 0 picks one", into(&c.addr, parseAddr))
	define("workers", "WEB_CONCURRENCY", strconv.Itoa(defaultWorkers()),
		"`number` of worker processes, by default 2 × CPUs + 1; 0: none, serve in this process",
		into(&c.workers, parseWorkers))
	define("grace", "GRACEFUL_TIMEOUT", "30s", "how `long` a stopping worker may finish what it has",
		into(&c.grace, parseSeconds))
	define("timeout", "TIMEOUT", "30s", "a request older than this `duration` gets its worker replaced; 0: off",
		into(&c.timeout, parseSeconds))
	define("max-requests", "MAX_REQUESTS", "0", "replace a worker after this `number` of requests; 0: never",
		into(&c.maxRequests, parseCount))
	define("max-requests-jitter", "MAX_REQUESTS_JITTER", "0", "and up to this `number` more, by chance",
		into(&c.maxRequestsJitter, parseCount))
	define("pidfile", "PIDFILE", "",
		"`file` with the pid of the master while it serves, which a second master does not take; by default none",
		into(&c.pidFile, func(s string) (string, error) { return s, nil }))
	define("log-file", "LOG_FILE", "", "`file` that gets what would go to standard error once the server listens; "+
		"USR1 opens it by its name again; by default none",
		into(&c.logFile, func(s string) (string, error) { return s, nil }))
	flags.BoolVar(&c.version, "version", false, "print the version and exit")
	flags.BoolVar(&c.health, "health", false,
		"ask the server that listens on -addr whether it serves, and exit: 0 it does, 1 it does not")

	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stderr, usage)
		flags.SetOutput(stderr)
		flags.PrintDefaults()
		fmt.Fprint(stderr, usageEnd)
		return c, err
	case err != nil:
		// Flags behind this one are not read, so which variables they beat is not known: only this
		// is said.
		return c, fmt.Errorf("%w (server -h lists the flags)", err)
	case flags.NArg() > 0:
		errs = append(errs, fmt.Errorf("argument %q: there are flags only (server -h lists them)", flags.Arg(0)))
	}
	flags.Visit(func(f *flag.Flag) { delete(variables, f.Name) })
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		errs = append(errs, variables[name])
	}
	return c, errors.Join(errs...)
}

// into makes a parser that stores what parse returns.
func into[T any](to *T, parse func(string) (T, error)) func(string) error {
	return func(s string) error {
		v, err := parse(s)
		if err == nil {
			*to = v
		}
		return err
	}
}

func parseAddr(s string) (string, error) {
	_, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return "", errors.New("want host:port, such as 127.0.0.1:8080 or :80")
	}
	return s, nil
}

// maxWorkers stops a slip of the finger from filling the machine with processes.
const maxWorkers = 1024

func parseWorkers(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n > maxWorkers {
		return 0, fmt.Errorf("want a whole number from 0 to %d", maxWorkers)
	}
	return int(n), nil
}

// parseSeconds reads a duration. Plain numbers are seconds, as users of gunicorn write them.
func parseSeconds(s string) (time.Duration, error) {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Second, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, errors.New("want a duration such as 30s, 500ms or 1m30s, or a whole number of seconds")
	}
	return d, nil
}

func parseCount(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, errors.New("want a whole number, 0 or more")
	}
	return int(n), nil
}
