package lab

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"rampart/loadtest"
	"rampart/loadtest/inject"
	"rampart/loadtest/k6"
	"rampart/loadtest/request"
	"rampart/loadtest/result"
	"rampart/loadtest/slo"
)

// Settings are what a user sets in the environment. README.md has the table of variables.
type Settings struct {
	Server         *url.URL            // SERVER; nil: build and start the bundled server
	Socket         string              // SERVER=unix:PATH: the unix socket behind Server
	Method         string              // METHOD
	Header         http.Header         // HEADERS
	Body           []byte              // BODY
	Insecure       bool                // INSECURE
	Certificate    *tls.Certificate    // CERT and KEY: of the client; nil: none
	Authorities    *x509.CertPool      // CACERT: who vouches for the server; nil: whom the system trusts
	ServerName     string              // SERVER_NAME
	Targets        request.Targets     // TARGETS
	TargetsFile    string              // its name; empty: none
	First          request.Targets     // FIRST
	FirstFile      string              // its name; empty: none
	Cookies        bool                // COOKIES
	HTTP2          bool                // HTTP2
	Engine         string              // ENGINE: EngineBuiltin or EngineK6
	Baseline       *loadtest.Contender // BASELINE; nil: no duel
	Candidate      *loadtest.Contender // CANDIDATE; nil: no duel
	Iterations     uint64              // ITERATIONS
	Duration       time.Duration       // DURATION: the window of each level
	Warmup         time.Duration       // WARMUP
	DuelWarmup     time.Duration       // WARMUP of a duel; 0: it is not set, and the duel finds out
	VUs            []int               // VUS: the levels of BenchmarkLevel
	MaxVUs         int                 // MAX_VUS
	Stop           string              // STOP: loadtest.RuleClassic or loadtest.RuleConfident
	SLO            slo.SLO             // SLO
	Expect         inject.Expect       // EXPECT
	RequestTimeout time.Duration       // REQUEST_TIMEOUT
	KeepAlive      bool                // KEEPALIVE
	Results        string              // RESULTS: the folder for result files
	Output         string              // OUTPUT: OutputText or OutputJSON
	StartAt        time.Time           // START_AT: when the only level of VUS starts; zero: at once
	Merge          []string            // MERGE: the files of clients whose results TestMerge merges; nil: it does not run
	Ramp           string              // RAMP: the file of the ramp that TestMerge continues; empty: it only merges
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
	maxAhead      = time.Hour // of the start
)

// SettingsFromEnv reads the settings with getenv, which is [os.Getenv] but in tests. A variable
// that is empty counts as unset. The error names every variable whose value is no good, the value,
// and what would be right.
func SettingsFromEnv(getenv func(string) string) (Settings, error) {
	var errs []error
	// set parses a variable, or its default where it is unset.
	set := func(name, value string, parse func(string) error) {
		if v := getenv(name); v != "" {
			value = v
		}
		if err := parse(value); err != nil {
			errs = append(errs, refuse(name, value, err))
		}
	}
	var s Settings
	set("ITERATIONS", "60000", into(&s.Iterations, parseIterations))
	set("DURATION", loadtest.DefaultWindow.String(), into(&s.Duration, parsePositiveDuration))
	set("WARMUP", defaultWarmup(s.Duration).String(), into(&s.Warmup, parseDuration))
	if getenv("WARMUP") != "" {
		s.DuelWarmup = s.Warmup
	}
	set("VUS", "1,2,4,8,16,32", into(&s.VUs, parseVUs))
	set("MAX_VUS", strconv.Itoa(loadtest.DefaultMaxVUs), into(&s.MaxVUs, parseVU))
	set("REQUEST_TIMEOUT", loadtest.DefaultTimeout.String(), into(&s.RequestTimeout, parsePositiveDuration))
	set("KEEPALIVE", "on", into(&s.KeepAlive, request.Switch))
	set("RESULTS", "results", into(&s.Results, parsePath))
	set("OUTPUT", OutputText, into(&s.Output, parseOneOf(OutputText, OutputJSON)))
	set("ENGINE", EngineBuiltin, into(&s.Engine, parseOneOf(EngineBuiltin, EngineK6)))
	rule, only := loadtest.DefaultRule, OnlyClassic(getenv)
	if only != "" {
		rule = loadtest.RuleClassic
	}
	set("STOP", rule, into(&s.Stop, parseOneOf(loadtest.RuleClassic, loadtest.RuleConfident)))
	set("SLO", "", into(&s.SLO, slo.Parse))
	set("EXPECT", "", into(&s.Expect, inject.ParseExpect))
	if s.Engine == EngineK6 && !s.Expect.IsZero() {
		errs = append(errs, fmt.Errorf("EXPECT=%q with ENGINE=k6: want ENGINE=builtin, because k6 is not told what to "+
			"expect", s.Expect))
	}
	if only != "" && s.Stop == loadtest.RuleConfident {
		errs = append(errs, fmt.Errorf("STOP=confident: want STOP=classic with %s", only))
	}
	set("INSECURE", "off", into(&s.Insecure, request.Switch))
	set("HTTP2", "on", into(&s.HTTP2, request.Switch))
	set("HEADERS", "", into(&s.Header, request.Header))
	set("BODY", "", into(&s.Body, request.Body))
	set("METHOD", request.MethodFor(s.Body), into(&s.Method, request.Method))
	s.ServerName = getenv("SERVER_NAME")
	set("COOKIES", "off", into(&s.Cookies, request.Switch))
	for _, file := range []struct {
		name string
		to   *request.Targets
		path *string
	}{{"TARGETS", &s.Targets, &s.TargetsFile}, {"FIRST", &s.First, &s.FirstFile}} {
		if path := getenv(file.name); path != "" {
			*file.path = path
			set(file.name, path, into(file.to, request.ReadTargets))
		}
	}
	var err error
	s.Certificate, s.Authorities, err = request.Certificates{
		Cert: getenv("CERT"), Key: getenv("KEY"), CACert: getenv("CACERT"),
	}.Read(request.Names{Cert: "CERT", Key: "KEY", CACert: "CACERT"})
	if err != nil {
		errs = append(errs, err)
	}
	if server := getenv("SERVER"); server != "" {
		set("SERVER", server, func(v string) (err error) {
			s.Server, s.Socket, err = parseServer(v, s.Iterations)
			return err
		})
	}
	if start := getenv("START_AT"); start != "" {
		set("START_AT", start, into(&s.StartAt, parseStart))
		if len(s.VUs) > 1 {
			errs = append(errs, fmt.Errorf("START_AT=%q with %d levels in VUS: want one number of virtual users there, "+
				"because the second level has no time at which it starts", start, len(s.VUs)))
		}
		if s.Engine == EngineK6 {
			errs = append(errs, fmt.Errorf("START_AT=%q with ENGINE=k6: want ENGINE=builtin, which can start at an instant",
				start))
		}
	}
	if files := getenv("MERGE"); files != "" {
		set("MERGE", files, into(&s.Merge, parseFiles))
	}
	if file := getenv("RAMP"); file != "" {
		set("RAMP", file, into(&s.Ramp, parsePath))
		if s.Merge == nil {
			errs = append(errs, fmt.Errorf("RAMP=%q without MERGE: want the results of the clients there, of which it gets a "+
				"level", file))
		}
	}
	contender := func(name string, to **loadtest.Contender) {
		if value := getenv(name); value != "" {
			set(name, value, func(v string) error {
				c, err := loadtest.ParseContender(v)
				*to = &c
				return err
			})
		}
	}
	contender("BASELINE", &s.Baseline)
	contender("CANDIDATE", &s.Candidate)
	if d, err := parseDuration(getenv("WARMUP")); err == nil && d == 0 && (s.Baseline != nil || s.Candidate != nil) {
		errs = append(errs, fmt.Errorf("WARMUP=%q with BASELINE or CANDIDATE: want more than 0, such as 1s, or leave it "+
			"unset: then a warm-up ends when both servers are warm", getenv("WARMUP")))
	}
	if s.Socket != "" && (s.Baseline != nil || s.Candidate != nil) {
		errs = append(errs, fmt.Errorf("SERVER=%q with BASELINE or CANDIDATE: both sides' load would go to that socket, and "+
			"to neither of them; want SERVER to say what is asked for, such as localhost/search?q=go, and a contender that "+
			"listens at a socket as unix:PATH", inject.Mask(getenv("SERVER"))))
	}
	if s.Engine == EngineK6 && (s.Baseline != nil || s.Candidate != nil) {
		errs = append(errs, errors.New("ENGINE=k6 with BASELINE or CANDIDATE: want ENGINE=builtin, because k6 cannot take "+
			"turns"))
	}
	for _, err := range []error{s.needsTLS(), s.askedTwice(getenv), s.elsewhere()} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 {
		// What only shows when all is put together: a header that cannot be set, say.
		if _, err := inject.NewHTTP(s.HTTP(s.Workload("localhost"))); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w; want what a request can have",
				"METHOD, HEADERS, BODY, EXPECT, SERVER_NAME, TARGETS or FIRST", err))
		}
	}
	return s, errors.Join(errs...)
}

// needsTLS says that something is set which only TLS has a use for, and there is none. Who takes a
// server for one that asks for a certificate, and loads it without, measures something else.
func (s Settings) needsTLS() error {
	secure := s.Server != nil && s.Server.Scheme == "https"
	for _, c := range []*loadtest.Contender{s.Baseline, s.Candidate} {
		secure = secure || c != nil && strings.HasPrefix(strings.ToLower(c.Address), "https://")
	}
	if secure || s.Certificate == nil && s.Authorities == nil && s.ServerName == "" {
		return nil
	}
	return errors.New("CERT, KEY, CACERT or SERVER_NAME without TLS: want https:// in SERVER, which says it for both " +
		"sides of a duel, too")
}

// askedTwice says what TARGETS and FIRST contradict.
func (s Settings) askedTwice(getenv func(string) string) error {
	if s.Engine == EngineK6 && (s.TargetsFile != "" || s.FirstFile != "" || s.Cookies) {
		return errors.New("ENGINE=k6 with TARGETS, FIRST or COOKIES: want ENGINE=builtin, because k6 gets one request that " +
			"is always the same")
	}
	if s.First.Weighed != "" {
		return fmt.Errorf("FIRST: %s: weight: want none, because each of the first requests is made once", s.First.Weighed)
	}
	if s.TargetsFile == "" {
		return nil
	}
	for _, name := range []string{"METHOD", "BODY", "ITERATIONS"} {
		if getenv(name) != "" {
			return fmt.Errorf("TARGETS with %s: want what is asked in the file alone", name)
		}
	}
	at, _, err := inject.ParseAddress(getenv("SERVER"))
	if getenv("SERVER") != "" && err == nil && (at.Path != "" && at.Path != "/" || at.RawQuery != "") {
		return errors.New("TARGETS with a path or query in SERVER: want what is asked in the file alone")
	}
	return nil
}

// elsewhere says that a file names a server that is not loaded. A duel has two, and leaves out
// which one is written.
func (s Settings) elsewhere() error {
	if s.Baseline != nil || s.Candidate != nil {
		return nil
	}
	for _, t := range []request.Targets{s.Targets, s.First} {
		switch {
		case t.Base == nil:
		case s.Server == nil:
			return fmt.Errorf("%s: %s: want it in SERVER, too, or paths alone there", t.BaseAt, t.Base)
		case s.Socket != "" || t.Base.Scheme != s.Server.Scheme || t.Base.Host != strings.ToLower(s.Server.Host):
			return fmt.Errorf("%s: %s is not what SERVER says: want the same server, or paths alone", t.BaseAt, t.Base)
		}
	}
	return nil
}

// duelIgnores are the variables of which a duel makes no use.
var duelIgnores = []string{"DURATION", "VUS", "MAX_VUS", "STOP", "OUTPUT", "MERGE", "RAMP"}

// UnusedInDuel says in one line which variables are set and mean nothing in a duel; empty: none.
func UnusedInDuel(getenv func(string) string) string {
	var set []string
	for _, name := range duelIgnores {
		if getenv(name) != "" {
			set = append(set, name)
		}
	}
	if set == nil {
		return ""
	}
	return fmt.Sprintf("%s: set, and of no use in a duel, which chooses its load itself; perfgate run has flags for it",
		strings.Join(set, ", "))
}

// refuse says what is wrong with the value of a variable. It shows the value, but nothing that may
// be a secret.
func refuse(name, value string, err error) error {
	switch name {
	case "HEADERS", "BODY":
		return fmt.Errorf("%s: %w", name, err)
	case "BASELINE", "CANDIDATE":
		return fmt.Errorf("%s=%w", name, err) // which shows it
	case "SERVER":
		value = inject.Mask(value)
	default:
		if strings.Contains(value, "@") { // an address that was meant for another variable
			value = inject.Mask(value)
		}
	}
	return fmt.Errorf("%s=%q: %w", name, value, err)
}

// OnlyClassic names the variable with which a ramp can only have the classic rule, and why; empty:
// it can have either.
func OnlyClassic(getenv func(string) string) string {
	switch {
	case getenv("ENGINE") == EngineK6:
		return "ENGINE=k6, because k6 cannot measure in short windows"
	case getenv("RAMP") != "":
		return "RAMP, because several clients cannot measure in short windows together"
	case getenv("START_AT") != "":
		return "START_AT, because several clients cannot measure in short windows together"
	}
	return ""
}

// defaultWarmup is a tenth of the window, at most 2 s.
func defaultWarmup(window time.Duration) time.Duration { return min(window/10, 2*time.Second) }

// List returns the settings as the user would set them, without what may be a secret: the server,
// which may hold a password, and the values of headers. Of those that have a default that hardly
// anyone changes, only what was changed.
func (s Settings) List() []result.Setting {
	list := []result.Setting{
		{Name: "ITERATIONS", Value: strconv.FormatUint(s.Iterations, 10)},
		{Name: "DURATION", Value: s.Duration.String()},
		{Name: "WARMUP", Value: s.Warmup.String()},
		{Name: "REQUEST_TIMEOUT", Value: s.RequestTimeout.String()},
		{Name: "KEEPALIVE", Value: onOff(s.KeepAlive)},
		{Name: "MAX_VUS", Value: strconv.Itoa(s.MaxVUs)},
		{Name: "STOP", Value: s.Stop},
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
		{s.Certificate != nil, "CERT", "given"},
		{s.Authorities != nil, "CACERT", "given"},
		{s.ServerName != "", "SERVER_NAME", s.ServerName},
		{s.TargetsFile != "", "TARGETS", fmt.Sprintf("%s, %d requests", s.TargetsFile, len(s.Targets.Requests))},
		{s.FirstFile != "", "FIRST", fmt.Sprintf("%s, %d requests", s.FirstFile, len(s.First.Requests))},
		{s.Cookies, "COOKIES", onOff(s.Cookies)},
		{s.SLO != nil, "SLO", s.SLO.String()},
		{!s.Expect.IsZero(), "EXPECT", strings.ReplaceAll(s.Expect.String(), "\n", "; ")},
		{!s.StartAt.IsZero(), "START_AT", fmt.Sprintf("%d.%09d", s.StartAt.Unix(), s.StartAt.Nanosecond())},
	} {
		if more.changed {
			list = append(list, result.Setting{Name: more.name, Value: more.value})
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

func parsePath(s string) (string, error) {
	if strings.ContainsRune(s, 0) {
		return "", errors.New("want the path of a folder")
	}
	return filepath.Clean(s), nil
}

func parseFiles(s string) ([]string, error) {
	files := strings.Split(s, ",")
	for _, f := range files {
		if f == "" || strings.ContainsRune(f, 0) {
			return nil, errors.New("want files with commas between, one of each client, such as client-1.json,client-2.json")
		}
	}
	return files, nil
}

func parseOneOf(a, b string) func(string) (string, error) {
	return func(s string) (string, error) {
		if s != a && s != b {
			return "", fmt.Errorf("want %s or %s", a, b)
		}
		return s, nil
	}
}

// parseStart reads Unix seconds, with a fraction or without. It does not go through a
// floating-point number, which has no place for nanoseconds. An instant that has passed is no wrong
// value: whether there was time enough shows later.
func parseStart(s string) (time.Time, error) {
	whole, fraction, _ := strings.Cut(s, ".")
	seconds, err := strconv.ParseUint(whole, 10, 33) // until the year 2242
	nanos, err2 := strconv.ParseUint((fraction + "000000000")[:9], 10, 30)
	if err != nil || err2 != nil || len(fraction) > 9 || strings.HasSuffix(s, ".") {
		return time.Time{}, errors.New("want Unix seconds, such as 1764000000 or 1764000000.250")
	}
	at := time.Unix(int64(seconds), int64(nanos))
	if ahead := time.Until(at); ahead > maxAhead {
		return time.Time{}, fmt.Errorf("want Unix seconds at most %v ahead, and this is %v: compare the clocks of the "+
			"machines", maxAhead, ahead.Round(time.Second))
	}
	return at, nil
}

// workload is the query that asks the bundled server for so many iterations.
func workload(iterations uint64) string { return fmt.Sprintf("it1=%d&it2=1", iterations) }

// Workload returns the URL of the workload on a bundled server that listens at address, host:port.
func (s Settings) Workload(address string) *url.URL {
	return &url.URL{Scheme: "http", Host: address, Path: "/", RawQuery: workload(s.Iterations)}
}

// ExperimentWithoutTarget returns the experiment that the settings ask for, before there is a
// server.
func (s Settings) ExperimentWithoutTarget() loadtest.Experiment {
	return loadtest.Experiment{Window: s.Duration, Warmup: s.Warmup, Timeout: s.RequestTimeout, Start: s.StartAt}
}

// RampWithoutTarget returns the ramp that the settings ask for, before there is a server.
func (s Settings) RampWithoutTarget() loadtest.Ramp {
	return loadtest.Ramp{Experiment: s.ExperimentWithoutTarget(), MaxVUs: s.MaxVUs, Rule: s.Stop, SLO: s.SLO}
}

// HTTP says what a target at u is asked.
func (s Settings) HTTP(u *url.URL) inject.HTTPConfig {
	source := s.TargetsFile
	if s.Baseline != nil || s.Candidate != nil {
		source = s.Targets.InDuel(source)
	}
	return inject.HTTPConfig{
		URL: u, Socket: s.Socket,
		Method: s.Method, Header: s.Header, Body: s.Body,
		Requests: s.Targets.Requests, Source: source, First: s.First.Requests, Cookies: s.Cookies,
		NoKeepAlive: !s.KeepAlive, NoHTTP2: !s.HTTP2,
		Insecure: s.Insecure, Certificate: s.Certificate, Authorities: s.Authorities, ServerName: s.ServerName,
		Expect: s.Expect,
	}
}

// Experiment returns the experiment that the settings ask for, after one request to Server, which
// must be set, has shown that it answers. cpu meters the processor time of the server; nil: find
// out how.
func (s Settings) Experiment(ctx context.Context, cpu loadtest.CPUMeter) (loadtest.Experiment, error) {
	e := s.ExperimentWithoutTarget()
	c := s.HTTP(s.Server)
	target, err := inject.NewHTTP(c)
	if err != nil {
		return e, err
	}
	err = target.Probe(ctx, s.RequestTimeout)
	if s.Engine == EngineK6 && inject.Classify(err, inject.Dial) == inject.Malformed {
		err = nil // it is k6 that has to understand the answers
	}
	if limit := new(inject.LimitError); errors.As(err, &limit) {
		return e, limit
	}
	if err != nil {
		hint := target.Advice(ctx, err)
		if ctx.Err() != nil { // what an interrupt broke says nothing of the server
			return e, fmt.Errorf("first request to %s: %w", target, context.Cause(ctx))
		}
		if hint == "" {
			hint = "start it there, or set SERVER to one that answers 2xx"
		}
		return e, fmt.Errorf("%s does not serve: %w; %s", target, err, hint)
	}
	if s.Engine == EngineK6 {
		if c.Socket == "" {
			c.Address = target.Address() // k6 would choose among several at random
		}
		if e.Engine, err = k6.New(c); err != nil {
			return e, err
		}
	}
	e.Target, e.ServerCPU = target, cpu
	return e.Metered(ctx), nil
}

// Fits says why this process cannot make so many connections to the server, which the variable name
// asks for. It can be asked before there is a server.
func (s Settings) Fits(name string, vus int) error {
	target, err := inject.NewHTTP(s.HTTP(cmp.Or(s.Server, s.Workload("localhost"))))
	if err == nil {
		err = target.Fits(vus)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

const wantServer = "want host, host:port, a URL that begins with http:// or https://, or unix:PATH"

// parseServer reads the address of a server. One without path and query gets those of the workload.
// socket is empty where it is not that of a unix socket.
func parseServer(s string, iterations uint64) (u *url.URL, socket string, err error) {
	if u, socket, err = inject.ParseAddress(s); err != nil {
		return nil, "", fmt.Errorf("%w; %s", err, wantServer)
	}
	if u.Path == "" && u.RawQuery == "" {
		u.Path, u.RawQuery = "/", workload(iterations)
	}
	if _, err := inject.NewHTTP(inject.HTTPConfig{URL: u}); err != nil {
		return nil, "", errors.New(wantServer)
	}
	return u, socket, nil
}
