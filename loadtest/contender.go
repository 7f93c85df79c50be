package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"rampart/loadtest/host"
	"rampart/loadtest/inject"
)

// Contender is one side of a duel: a server that is started afresh for every block, or one that
// runs already.
type Contender struct {
	// Command is a command line for sh, with {addr} where the server takes the address to listen on,
	// host:port. Empty: Address is set.
	Command string
	// Address is where a server runs already: host:port, host:port behind http:// or https://, or
	// unix:PATH. What changes with every start of a process is then the same in all blocks, and no
	// error bar contains it.
	Address string
	// URI is what this side is asked, where it is not what both are: the path of a URL, with a query
	// if need be.
	URI string
	// Waste is the share of its requests that are made and count for nothing, from 0 to less than 1:
	// exactly that share less throughput, and 1/(1-Waste) times the server's processor time, at the
	// same latency. With it a server duels with itself to show whether a loss of that size is found.
	Waste float64
}

// addrMark is where a command takes its address.
const addrMark = "{addr}"

// ParseContender reads a command line with {addr} in it, or the address of a server that runs
// already. The error shows s without what may be a secret.
func ParseContender(s string) (Contender, error) {
	if strings.Contains(s, addrMark) {
		return Contender{Command: s}, nil
	}
	s = strings.TrimSpace(s)
	u, socket, err := inject.ParseAddress(s)
	switch _, port, split := net.SplitHostPort(s); {
	case strings.ContainsAny(s, " \t"), socket == "" && !strings.Contains(s, "://") && (split != nil || port == ""):
		err = errors.New("it is neither") // such as a command that forgets the mark
	case err == nil && (u.RequestURI() != "/" || u.User != nil):
		err = errors.New("an address has no user, path or query here, because both sides are asked for the same")
	}
	if err != nil {
		return Contender{}, fmt.Errorf("%q: %w; want a command line with %s where the server takes its address, such as "+
			"\"./server -addr %[3]s\", or the host:port or unix:PATH of a server that runs already", maskCommand(s), err, addrMark)
	}
	return Contender{Address: s}, nil
}

// String returns the contender as it may be shown.
func (c Contender) String() string {
	s := strings.TrimSpace(maskCommand(c.Command) + c.Address + " " + c.URI)
	if c.Waste != 0 {
		s += fmt.Sprintf(" (%.4g %% of its requests count for nothing)", 100*c.Waste)
	}
	return s
}

// hushed are what a command line may hold and nobody else should read: user and password of a URL,
// and values whose name says that they are secret. The first two groups and the last one are shown.
var hushed = func() *regexp.Regexp {
	const (
		name   = `[\w-]*(?:key|token|secret|pass|pwd|credential|auth|cookie|bearer|jwt|signature)[\w-]*`
		quoted = `'[^']*'|"(?:\\.|[^"\\])*"`
		bare   = `\\.|[^\s'";{}\\]`
	)
	return regexp.MustCompile(`(?i)` +
		`(://)[^/@\s'"]*(@)` + // of a URL
		`|(\\?"` + name + `\\?"\s*:\s*)(?:\\"[^"]*"|"(?:\\.|[^"\\])*"|[^\s,}'"]+)` + // JSON
		`|(` + name + `\s*:\s*|\bbearer\s+)[^'"]+` + // a header
		`|(` + name + `=)(?:` + quoted + `|` + bare + `)+` + // a variable or a flag
		`|(-` + name + `\s+)(?:` + quoted + `|\\.|[^\s'";{}\\-])(?:` + quoted + `|` + bare + `)*` +
		`|((?:^|\s)(?:-u|--?user)[=\s]+['"]?[^\s:'"{}]+:)[^\s'"{}]+`) // as curl has it
}()

// shown are the groups of hushed that are not secret.
const shown = "${1}${3}${4}${5}${6}${7}xxxxx${2}"

// maskCommand returns a command line, or an address, as it may be shown.
func maskCommand(s string) string {
	if isOneWord(s) {
		return inject.Mask(s)
	}
	return hushed.ReplaceAllString(s, shown)
}

// isOneWord reports whether s may be an address, whose host may be called auth.
func isOneWord(s string) bool { return !strings.ContainsAny(s, " \t=") }

// shortestWord is how long what a command hides is at least, so that it is hidden in what its
// server says: "off" is no secret.
const shortestWord = 6

// hide returns what hides, in a server's own words, what its command and its request hide.
func (c Contender) hide(config inject.HTTPConfig) func(string) string {
	var values []string
	if !isOneWord(c.Command) {
		for _, at := range hushed.FindAllStringSubmatchIndex(c.Command, -1) {
			from, to := at[0], at[1]
			for group := 1; group < len(at)/2; group++ {
				switch begin, end := at[2*group], at[2*group+1]; {
				case begin < 0:
				case begin == at[0]:
					from = end
				default:
					to = begin
				}
			}
			if value := strings.Trim(c.Command[from:to], `'"\`); len(value) >= shortestWord {
				values = append(values, value)
			}
		}
	}
	own := inject.HTTPConfig{Header: http.Header{"Command": values}}
	return func(text string) string { return own.Hide(config.Hide(text)) }
}

// contest is a contender that serves.
type contest struct {
	target *inject.HTTP
	cpu    CPUMeter
	memory host.Gauge
	told   bool                // by the server itself, on its metrics
	server *Server             // nil: it ran already
	hide   func(string) string // what nobody should read in the server's words
}

// start makes a contender serve, and waits until it answers what it is asked: config, whose URL
// gets the address.
func (c Contender) start(ctx context.Context, on host.Affinity, config inject.HTTPConfig, timeout time.Duration) (contest, error) {
	at := *config.URL
	if c.URI != "" {
		own, err := RequestURL(c.URI)
		if err != nil {
			return contest{}, err
		}
		at.Path, at.RawPath, at.RawQuery, at.ForceQuery = own.Path, own.RawPath, own.RawQuery, own.ForceQuery
	}
	config.URL = &at
	hide := c.hide(config)
	var server *Server
	if c.Command != "" {
		address, err := freeAddress()
		if err != nil {
			return contest{}, err
		}
		at.Host = address
		if server, err = startCommand(on, strings.ReplaceAll(c.Command, addrMark, address)); err != nil {
			return contest{}, err
		}
	} else {
		own, socket, err := inject.ParseAddress(c.Address)
		if err != nil {
			return contest{}, fmt.Errorf("%s: %w", c, err)
		}
		at.Host, config.Socket = own.Host, socket
		if strings.Contains(c.Address, "://") {
			at.Scheme = own.Scheme
		}
	}
	target, err := inject.NewHTTP(config)
	if err == nil {
		err = awaitAnswer(ctx, target, server, timeout)
	}
	if err != nil {
		if server != nil {
			words := hide(server.Kill().Error())
			if ctx.Err() == nil { // an interrupt is not the server's doing
				err = errors.Join(err, errors.New(words))
			}
		}
		return contest{}, fmt.Errorf("%s: %w", c, err)
	}
	if server != nil {
		at := target.Address()
		return contest{target, host.ServerCPU(at, server.launch), host.ServerMemory(at, server.launch), false, server, hide}, nil
	}
	cpu, told := serverCPU(ctx, config, target.Address())
	return contest{target, cpu, nil, told, nil, hide}, nil
}

// awaitAnswer probes until the target answers with success, its server has ended, or patience is
// over.
func awaitAnswer(ctx context.Context, target *inject.HTTP, server *Server, timeout time.Duration) error {
	const firstPause, lastPause = 2 * time.Millisecond, 100 * time.Millisecond
	until := time.Now().Add(startPatience)
	ended := make(<-chan struct{}) // of a server that is not ours we do not hear
	if server != nil {
		ended = server.process.Ended()
	}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := target.Probe(ctx, timeout)
		if limit := new(inject.LimitError); err == nil || errors.As(err, &limit) {
			return err
		}
		if server == nil || time.Now().After(until) {
			hint := target.Advice(ctx, err)
			if ctx.Err() != nil { // what an interrupt broke says nothing of the server
				return context.Cause(ctx)
			}
			if hint != "" {
				err = fmt.Errorf("%w; %s", err, hint)
			}
			return fmt.Errorf("it does not serve %s: %w", target, err)
		}
		select {
		case <-ended:
			return errors.New("it ended before it served; a server that goes into the background has to stay in the foreground here")
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// stop ends the contender's server. The error says that it had ended by itself, with its last
// words.
func (c contest) stop() error {
	if c.server == nil {
		return nil
	}
	if err := c.server.end(); err != nil {
		return errors.New(c.hide(err.Error()))
	}
	return nil
}

// output is what the contender's server said last; empty: it is not ours to hear.
func (c contest) output() string {
	if c.server == nil {
		return ""
	}
	return c.hide(c.server.output.String())
}

// freeAddress returns an address of loopback on which nobody listens. Somebody else may take it
// before the server does; then the server says so.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("free address: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// RequestURL returns the URL of a request to contenders, whose address is not known yet.
func RequestURL(requestURI string) (*url.URL, error) {
	u, _, err := inject.ParseAddress("http://localhost" + requestURI)
	if err != nil || !strings.HasPrefix(requestURI, "/") {
		return nil, fmt.Errorf("%q: want the path of a URL, with a query if need be, such as /search?q=go", inject.Mask(requestURI))
	}
	u.Host = "" // of the contender
	return u, nil
}
