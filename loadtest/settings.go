package loadtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"rampart/loadtest/inject"
	"rampart/loadtest/k6"
	"rampart/loadtest/report"
)

// Settings are what a user sets in the environment. README.md has the table of variables.
type Settings struct {
	Server         *url.URL      // SERVER; nil: build and start the bundled server
	Socket         string        // SERVER=unix:PATH: the unix socket behind Server
	Method         string        // METHOD
	Header         http.Header   // HEADERS
	Body           []byte        // BODY
	Insecure       bool          // INSECURE
	HTTP2          bool          // HTTP2
	Engine         string        // ENGINE: EngineBuiltin or EngineK6
	Baseline       *Contender    // BASELINE; nil: no duel
	Candidate      *Contender    // CANDIDATE; nil: no duel
	Iterations     uint64        // ITERATIONS
	Duration       time.Duration // DURATION: the window of each level
	Warmup         time.Duration // WARMUP
	VUs            []int         // VUS: the levels of BenchmarkLevel
	MaxVUs         int           // MAX_VUS
	RequestTimeout time.Duration // REQUEST_TIMEOUT
	KeepAlive      bool          // KEEPALIVE
	Results        string        // RESULTS: the folder for result files
	Output         string        // OUTPUT: OutputText or OutputJSON
	StartAt        time.Time     // START_AT: when the only level of VUS starts; zero: at once
}

// Engines.
const (
	EngineBuiltin = "builtin"
	EngineK6      = "k6"
)

// What ends the output.
const (
	OutputText = "text" // the original's table
	OutputJSON = "json" // the whole result on one line
)

// Bounds of settings, which stop a slip of the finger and not a purpose.
const (
	maxDuration   = 24 * time.Hour
	maxVUs        = 1 << 20
	maxIterations = 1 << 62
	maxBody       = 256 << 20 // it is kept in memory
	maxAhead      = time.Hour // of the start
)

// SettingsFromEnv reads the settings with getenv, which is [os.Getenv] but in tests. A variable that is empty counts as
// unset. The error names every variable whose value is no good, the value, and what would be right.
func SettingsFromEnv(getenv func(string) string) (Settings, error) {
	var errs []error
	// set parses a variable, or its default where it is unset.
	set := func(name, value string, parse func(string) error) {
		if v := getenv(name); v != "" {
			value = v
		}
		if err := parse(value); err != nil {
			errs = append(errs, fmt.Errorf("%s=%q: %w", name, hidePassword(value), err))
		}
	}
	var s Settings
	set("ITERATIONS", "60000", into(&s.Iterations, parseIterations))
	set("DURATION", DefaultWindow.String(), into(&s.Duration, parsePositiveDuration))
	set("WARMUP", defaultWarmup(s.Duration).String(), into(&s.Warmup, parseDuration))
	set("VUS", "1,2,4,8,16,32", into(&s.VUs, parseVUs))
	set("MAX_VUS", strconv.Itoa(DefaultMaxVUs), into(&s.MaxVUs, parseVU))
	set("REQUEST_TIMEOUT", DefaultTimeout.String(), into(&s.RequestTimeout, parsePositiveDuration))
	set("KEEPALIVE", "on", into(&s.KeepAlive, parseSwitch))
	set("RESULTS", "results", into(&s.Results, parsePath))
	set("OUTPUT", OutputText, into(&s.Output, parseOneOf(OutputText, OutputJSON)))
	set("STOP", "classic", parseOnly("classic"))
	set("ENGINE", EngineBuiltin, into(&s.Engine, parseOneOf(EngineBuiltin, EngineK6)))
	set("INSECURE", "off", into(&s.Insecure, parseSwitch))
	set("HTTP2", "on", into(&s.HTTP2, parseSwitch))
	set("HEADERS", "", into(&s.Header, parseHeaders))
	set("BODY", "", into(&s.Body, parseBody))
	method := http.MethodGet
	if len(s.Body) > 0 {
		method = http.MethodPost
	}
	set("METHOD", method, into(&s.Method, parseMethod))
	if server := getenv("SERVER"); server != "" {
		set("SERVER", server, func(v string) (err error) {
			s.Server, s.Socket, err = parseServer(v, s.Iterations)
			return err
		})
	}
	if start := getenv("START_AT"); start != "" {
		set("START_AT", start, into(&s.StartAt, parseStart))
		if len(s.VUs) > 1 {
			errs = append(errs, fmt.Errorf("START_AT=%q with %d levels in VUS: want one number of virtual users there, because the "+
				"second level has no time at which it starts", start, len(s.VUs)))
		}
		if s.Engine == EngineK6 {
			errs = append(errs, fmt.Errorf("START_AT=%q with ENGINE=k6: want ENGINE=builtin, which can start at an instant", start))
		}
	}
	for name, to := range map[string]**Contender{"BASELINE": &s.Baseline, "CANDIDATE": &s.Candidate} {
		if value := getenv(name); value != "" {
			set(name, value, func(v string) error {
				c, err := ParseContender(v)
				*to = &c
				return err
			})
		}
	}
	if len(errs) == 0 {
		// What only shows when all is put together: a header that cannot be set, say.
		if _, err := inject.NewHTTP(s.http(s.Workload("localhost"))); err != nil {
			errs = append(errs, fmt.Errorf("METHOD, HEADERS or BODY: %w; want what a request can have", err))
		}
	}
	return s, errors.Join(errs...)
}

// defaultWarmup is a tenth of the window, at most 2 s.
func defaultWarmup(window time.Duration) time.Duration { return min(window/10, 2*time.Second) }

// List returns the settings as the user would set them, without what may be a secret: the server, which may hold a
// password, and the values of headers. Of those that have a default that hardly anyone changes, only what was changed.
func (s Settings) List() []report.Setting {
	list := []report.Setting{
		{Name: "ITERATIONS", Value: strconv.FormatUint(s.Iterations, 10)},
		{Name: "DURATION", Value: s.Duration.String()},
		{Name: "WARMUP", Value: s.Warmup.String()},
		{Name: "REQUEST_TIMEOUT", Value: s.RequestTimeout.String()},
		{Name: "KEEPALIVE", Value: onOff(s.KeepAlive)},
		{Name: "MAX_VUS", Value: strconv.Itoa(s.MaxVUs)},
		{Name: "STOP", Value: "classic"},
		{Name: "ENGINE", Value: s.Engine},
	}
	for _, more := range []struct {
		changed     bool
		name, value string
	}{
		{s.Method != http.MethodGet, "METHOD", s.Method},
		{len(s.Header) > 0, "HEADERS", strings.Join(slices.Sorted(maps.Keys(s.Header)), ", ")},
		{len(s.Body) > 0, "BODY", fmt.Sprintf("%d bytes", len(s.Body))},
		{s.Insecure, "INSECURE", onOff(s.Insecure)},
		{!s.HTTP2, "HTTP2", onOff(s.HTTP2)},
		{!s.StartAt.IsZero(), "START_AT", fmt.Sprintf("%d.%09d", s.StartAt.Unix(), s.StartAt.Nanosecond())},
	} {
		if more.changed {
			list = append(list, report.Setting{Name: more.name, Value: more.value})
		}
	}
	return list
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
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

func parseIterations(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > maxIterations {
		return 0, errors.New("want a whole number of iterations, 0 or more, such as 60000")
	}
	return n, nil
}

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > maxDuration {
		return 0, errors.New("want a duration with a unit, up to 24h, such as 30s, 1m30s or 500ms")
	}
	return d, nil
}

func parsePositiveDuration(s string) (time.Duration, error) {
	d, err := parseDuration(s)
	if err != nil {
		return 0, err
	}
	// Below a millisecond the timers of the machine decide, and not the server.
	if d < time.Millisecond {
		return 0, errors.New("want a duration of at least 1ms, such as 30s, 1m30s or 500ms")
	}
	return d, nil
}

func parseVU(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxVUs || s[0] == '+' {
		return 0, fmt.Errorf("want a whole number of virtual users from 1 to %d", maxVUs)
	}
	return n, nil
}

func parseVUs(s string) ([]int, error) {
	var levels []int
	for part := range strings.SplitSeq(s, ",") {
		n, err := parseVU(strings.TrimSpace(part))
		if err != nil || slices.Contains(levels, n) {
			return nil, fmt.Errorf("want different numbers of virtual users from 1 to %d with commas between, such as 1,2,4,8",
				maxVUs)
		}
		levels = append(levels, n)
	}
	return levels, nil
}

func parseSwitch(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "on", "true", "yes", "1":
		return true, nil
	case "off", "false", "no", "0":
		return false, nil
	}
	return false, errors.New("want on or off")
}

func parsePath(s string) (string, error) {
	if strings.ContainsRune(s, 0) {
		return "", errors.New("want the path of a folder")
	}
	return filepath.Clean(s), nil
}

func parseOnly(want string) func(string) error {
	return func(s string) error {
		if s != want {
			return fmt.Errorf("want %s, which is all that this version has", want)
		}
		return nil
	}
}

func parseOneOf(a, b string) func(string) (string, error) {
	return func(s string) (string, error) {
		if s != a && s != b {
			return "", fmt.Errorf("want %s or %s", a, b)
		}
		return s, nil
	}
}

// parseStart reads Unix seconds, with a fraction or without. It does not go through a floating-point number, which has no
// place for nanoseconds. An instant that has passed is no wrong value: whether there was time enough shows later.
func parseStart(s string) (time.Time, error) {
	whole, fraction, _ := strings.Cut(s, ".")
	seconds, err := strconv.ParseUint(whole, 10, 33) // until the year 2242
	nanos, err2 := strconv.ParseUint((fraction + "000000000")[:9], 10, 30)
	if err != nil || err2 != nil || len(fraction) > 9 || strings.HasSuffix(s, ".") {
		return time.Time{}, errors.New("want Unix seconds, such as 1764000000 or 1764000000.250")
	}
	at := time.Unix(int64(seconds), int64(nanos))
	if ahead := time.Until(at); ahead > maxAhead {
		return time.Time{}, fmt.Errorf("want Unix seconds at most %v ahead, and this is %v: compare the clocks of the machines",
			maxAhead, ahead.Round(time.Second))
	}
	return at, nil
}

// methods are those that a server may be asked with.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodOptions}

func parseMethod(s string) (string, error) {
	if !slices.Contains(methods, s) {
		return "", fmt.Errorf("want one of %s", strings.Join(methods, ", "))
	}
	return s, nil
}

// parseHeaders reads header lines as they are sent, without what a message says of itself.
func parseHeaders(s string) (http.Header, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	lines := strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "\r\n")
	header, err := textproto.NewReader(bufio.NewReader(strings.NewReader(lines + "\r\n\r\n"))).ReadMIMEHeader()
	if err != nil {
		return nil, errors.New("want lines of the form Name: value")
	}
	return http.Header(header), nil
}

// parseBody reads a body, or the name of the file that holds it after an @.
func parseBody(s string) ([]byte, error) {
	path, is := strings.CutPrefix(s, "@")
	switch {
	case s == "":
		return nil, nil
	case !is:
		return []byte(s), nil
	}
	const want = "want a text, or @FILE with the name of a file of at most 256 MB"
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", want, err)
	case !info.Mode().IsRegular() || info.Size() > maxBody:
		return nil, errors.New(want)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", want, err)
	}
	return body, nil
}

// workload is the query that asks the bundled server for so many iterations.
func workload(iterations uint64) string { return fmt.Sprintf("it1=%d&it2=1", iterations) }

// Workload returns the URL of the workload on a bundled server that listens at address, host:port.
func (s Settings) Workload(address string) *url.URL {
	return &url.URL{Scheme: "http", Host: address, Path: "/", RawQuery: workload(s.Iterations)}
}

// durations returns an experiment without a target.
func (s Settings) durations() Experiment {
	return Experiment{Window: s.Duration, Warmup: s.Warmup, Timeout: s.RequestTimeout, Start: s.StartAt}
}

// http says what a target at u is asked.
func (s Settings) http(u *url.URL) inject.HTTPConfig {
	return inject.HTTPConfig{
		URL: u, Socket: s.Socket,
		Method: s.Method, Header: s.Header, Body: s.Body,
		NoKeepAlive: !s.KeepAlive, Insecure: s.Insecure, NoHTTP2: !s.HTTP2,
	}
}

// Experiment returns the experiment that the settings ask for, after one request to Server, which must be set, has shown
// that it answers. cpu meters the processor time of the server; nil: find out how.
func (s Settings) Experiment(ctx context.Context, cpu CPUMeter) (Experiment, error) {
	e := s.durations()
	c := s.http(s.Server)
	target, err := inject.NewHTTP(c)
	if err != nil {
		return e, err
	}
	if s.Engine == EngineK6 {
		if e.Engine, err = k6.New(c); err != nil {
			return e, err
		}
	}
	if err := target.Probe(ctx, s.RequestTimeout); err != nil {
		hint := "start it there, or set SERVER to one that answers 2xx"
		if inject.Classify(err, inject.Dial) == inject.TLS && !s.Insecure {
			hint = "INSECURE=1 would accept any certificate"
		}
		return e, fmt.Errorf("%s does not serve: %w; %s", target, err, hint)
	}
	if cpu == nil {
		cpu = serverCPU(ctx, c, target.Address())
	}
	e.Target, e.ServerCPU = target, cpu
	return e, nil
}

var errServer = errors.New("want host, host:port, a URL that begins with http:// or https://, or unix:PATH")

// parseServer reads the address of a server. One without path and query gets those of the workload. socket is empty where
// it is not that of a unix socket, unix:PATH or unix:PATH:/URI as nginx has it.
func parseServer(s string, iterations uint64) (u *url.URL, socket string, err error) {
	if rest, is := strings.CutPrefix(s, "unix:"); is {
		path, uri := strings.TrimPrefix(rest, "//"), ""
		if i := strings.Index(path, ":/"); i >= 0 {
			path, uri = path[:i], path[i+1:]
		}
		if path == "" {
			return nil, "", errServer
		}
		u, _, err := parseServer("http://localhost"+uri, iterations)
		return u, path, err
	}
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err = url.Parse(s)
	if err != nil || u.Fragment != "" || u.Opaque != "" {
		return nil, "", errServer
	}
	u.Scheme = strings.ToLower(u.Scheme)
	if u.Path == "" && u.RawQuery == "" {
		u.Path, u.RawQuery = "/", workload(iterations)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, "", fmt.Errorf("port %s: want 1 to 65535", port)
		}
	}
	if _, err := inject.NewHTTP(inject.HTTPConfig{URL: u}); err != nil {
		return nil, "", errServer
	}
	return u, "", nil
}

// hidePassword masks everything between the scheme and the last @ of a value that may be a URL, however broken.
func hidePassword(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return s
	}
	from := strings.Index(s, "://")
	if from < 0 || from > at {
		return "xxxxx" + s[at:]
	}
	return s[:from+len("://")] + "xxxxx" + s[at:]
}
