package main

import (
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// env makes a getenv of "NAME=value" strings.
func env(vars ...string) func(string) string {
	m := make(map[string]string)
	for _, v := range vars {
		name, value, _ := strings.Cut(v, "=")
		m[name] = value
	}
	return func(name string) string { return m[name] }
}

func TestParseConfig(t *testing.T) {
	defaults := config{
		addr: "127.0.0.1:8080", workers: defaultWorkers(), grace: 30 * time.Second, timeout: 30 * time.Second,
	}
	with := func(change func(*config)) config { c := defaults; change(&c); return c }
	for _, tt := range []struct {
		name      string
		args, env []string
		want      config
	}{
		{"defaults", nil, nil, defaults},
		{"empty variables", nil, []string{"BIND=", "WEB_CONCURRENCY=", "TIMEOUT="}, defaults},
		{"flags", strings.Fields("-addr :80 -workers 0 -grace 5s -timeout 0 -max-requests 100 -max-requests-jitter 10"), nil,
			config{addr: ":80", grace: 5 * time.Second, maxRequests: 100, maxRequestsJitter: 10}},
		{"variables", nil, strings.Fields("BIND=[::1]:0 WEB_CONCURRENCY=3 GRACEFUL_TIMEOUT=7 TIMEOUT=1m30s MAX_REQUESTS=5 " +
			"MAX_REQUESTS_JITTER=6 SECRET_KEY=key"),
			config{addr: "[::1]:0", workers: 3, grace: 7 * time.Second, timeout: 90 * time.Second, maxRequests: 5,
				maxRequestsJitter: 6, secret: "key"}},
		{"flag beats variable", []string{"-workers=2"}, []string{"WEB_CONCURRENCY=3"},
			with(func(c *config) { c.workers = 2 })},
		{"flag beats wrong variable", []string{"-workers=2"}, []string{"WEB_CONCURRENCY=x"},
			with(func(c *config) { c.workers = 2 })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := parseConfig(tt.args, env(tt.env...), io.Discard)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(tt.want, c, cmp.AllowUnexported(config{})))
		})
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for _, tt := range []struct {
		args, env, want string
	}{
		{"-addr 8080", "", `invalid value "8080" for flag -addr: want host:port`},
		{"-addr localhost:http", "", `want host:port`},
		{"-addr :65536", "", `want host:port`},
		{"-workers -1", "", `invalid value "-1" for flag -workers: want a whole number from 0 to 1024`},
		{"-workers 1e3", "", `want a whole number from 0`},
		{"-timeout x", "", `invalid value "x" for flag -timeout: want a duration such as 30s`},
		{"-grace -1s", "", `for flag -grace: want a duration`},
		{"-max-requests -5", "", `for flag -max-requests: want a whole number`},
		{"-nothing", "", `flag provided but not defined: -nothing (server -h lists the flags)`},
		{"serve", "", `argument "serve": there are flags only`},
		{"", "WEB_CONCURRENCY=many", `WEB_CONCURRENCY="many": want a whole number from 0 to 1024`},
		{"", "TIMEOUT=-1", `TIMEOUT="-1": want a duration`},
		{"", "BIND=80", `BIND="80": want host:port`},
	} {
		_, err := parseConfig(strings.Fields(tt.args), env(tt.env), io.Discard)
		require.ErrorContains(t, err, tt.want)
	}
	_, err := parseConfig([]string{"-workers", "many", "-timeout", "5s"}, env("TIMEOUT=x"), io.Discard)
	require.ErrorContains(t, err, "-workers")
	require.NotContains(t, err.Error(), "TIMEOUT", "a flag beats it")
	_, err = parseConfig(nil, env("TIMEOUT=x", "BIND=y"), io.Discard)
	require.ErrorContains(t, err, "TIMEOUT")
	require.ErrorContains(t, err, "BIND", "every error at once")
}

func TestHelp(t *testing.T) {
	var out strings.Builder
	_, err := parseConfig([]string{"-h"}, env(), &out)
	require.True(t, errors.Is(err, flag.ErrHelp))
	for _, name := range []string{"-addr host:port", "BIND", "-workers", "WEB_CONCURRENCY", "-grace", "GRACEFUL_TIMEOUT",
		"-timeout",
		"TIMEOUT", "-max-requests", "MAX_REQUESTS_JITTER", "SECRET_KEY", "Exit codes"} {
		require.Contains(t, out.String(), name)
	}
}

// FuzzParseConfig feeds every flag and every variable.
func FuzzParseConfig(f *testing.F) {
	flags := []string{"addr", "workers", "grace", "timeout", "max-requests", "max-requests-jitter", "version", "health",
		"nothing"}
	variables := []string{"BIND", "WEB_CONCURRENCY", "GRACEFUL_TIMEOUT", "TIMEOUT", "MAX_REQUESTS", "MAX_REQUESTS_JITTER",
		"SECRET_KEY"}
	for i := range flags {
		for _, v := range []string{"", "1", "30s", ":80", "-1", "99999999999999999999"} {
			f.Add(i, v, true)
			f.Add(i, v, false)
		}
	}
	f.Fuzz(func(t *testing.T, i int, value string, asFlag bool) {
		var args, vars []string
		if asFlag {
			args = []string{"-" + flags[uint(i)%uint(len(flags))] + "=" + value}
		} else {
			vars = []string{variables[uint(i)%uint(len(variables))] + "=" + value}
		}
		c, err := parseConfig(args, env(vars...), io.Discard)
		if err != nil {
			return
		}
		require.NotEmpty(t, c.addr)
		require.GreaterOrEqual(t, c.workers, 0)
		require.LessOrEqual(t, c.workers, maxWorkers)
		require.GreaterOrEqual(t, c.grace, time.Duration(0))
		require.GreaterOrEqual(t, c.timeout, time.Duration(0))
		require.GreaterOrEqual(t, c.maxRequests, 0)
		require.GreaterOrEqual(t, c.maxRequestsJitter, 0)
	})
}
