package inject

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// ParseAddress reads the address of a server as a user has it: what the address bar of a browser
// takes, with the scheme http where it has none, or unix:PATH and unix:PATH:/URI, as nginx writes
// them. Then socket is PATH, else it is empty. The host of the URL is in ASCII, its path and query
// are escaped, and its fragment is left out, because it is never sent.
//
// The error says what is wrong and never shows any of s, which may hold a password; [Mask] returns
// what can be shown.
func ParseAddress(s string) (u *url.URL, socket string, err error) {
	s = strings.TrimSpace(s)
	if rest, is := strings.CutPrefix(s, "unix:"); is {
		path, uri := strings.TrimPrefix(rest, "//"), ""
		if i := strings.Index(path, ":/"); i >= 0 {
			path, uri = path[:i], path[i+1:]
		}
		if path == "" || strings.ContainsRune(path, 0) {
			return nil, "", errors.New("the path of the socket is missing")
		}
		u, err := parseURL("http", "localhost"+uri)
		return u, path, err
	}
	scheme, rest := cutScheme(s)
	switch name, after, _ := strings.Cut(s, ":"); {
	case scheme == "" && strings.HasPrefix(after, "/") && (strings.EqualFold(name, "http") || strings.EqualFold(name, "https")):
		return nil, "", errors.New("a slash is missing behind the scheme")
	case scheme == "":
		scheme = "http"
	}
	if scheme = strings.ToLower(scheme); scheme != "http" && scheme != "https" {
		return nil, "", errors.New("the scheme is neither http nor https")
	}
	u, err = parseURL(scheme, rest)
	return u, "", err
}

// cutScheme splits s behind its scheme, which is empty where there is none: a query may hold a URL
// as well.
func cutScheme(s string) (scheme, rest string) {
	scheme, rest, found := strings.Cut(s, "://")
	for i, c := range []byte(scheme) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", rune(c))) {
			return "", s
		}
	}
	if !found || scheme == "" {
		return "", s
	}
	return scheme, rest
}

// parseURL reads what follows the scheme of a URL. It hands nothing to package url that it has not
// made safe: that package decodes what it should keep, and its errors quote their whole input.
func parseURL(scheme, s string) (*url.URL, error) {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, errors.New("it holds a control character, such as the end of a line")
	}
	authority, tail := cutAuthority(s)
	var user *url.Userinfo
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		var err error
		if user, err = parseUser(authority[:at]); err != nil {
			return nil, err
		}
		authority = authority[at+1:]
	} else if mayCutPassword(authority, tail) {
		return nil, errors.New("it can be read in two ways: write %2F, %3F and %23 for /, ? and # in a password, " +
			"and %40 for an @ in a path")
	}
	host, port, err := parseHost(authority)
	if err != nil {
		return nil, err
	}
	if port == defaultPort(scheme) {
		port = ""
	}
	if port != "" {
		host += ":" + port
	}
	tail, _, _ = strings.Cut(tail, "#")
	path, query, hasQuery := strings.Cut(tail, "?")
	if path, err = escapePath(path); err != nil {
		return nil, err
	}
	if hasQuery {
		path += "?" + escape(query, `"<>`)
	}
	u, err := url.Parse(scheme + "://" + host + path)
	if err != nil {
		return nil, errors.New("it is no URL")
	}
	u.User = user
	return u, nil
}

// cutAuthority splits what follows the scheme behind user, host and port.
func cutAuthority(s string) (authority, tail string) {
	if i := strings.IndexAny(s, `/?#\`); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// parseUser reads user and password. Each may hold anything but its separators, as browsers have
// it.
func parseUser(s string) (*url.Userinfo, error) {
	name, password, has := strings.Cut(s, ":")
	name, err1 := url.PathUnescape(name)
	password, err2 := url.PathUnescape(password)
	if err1 != nil || err2 != nil {
		return nil, errors.New("a % in user or password begins no escape: write %25 for it")
	}
	if has {
		return url.UserPassword(name, password), nil
	}
	return url.User(name), nil
}

// mayCutPassword reports whether what seems to be host, port and path may be user and password,
// where a character in the password ended it: http://me:12/34@host/. It would be shown, as the
// target, and the load would go to another host. What can only be a host is none of it, nor is an @
// in the value of a query.
func mayCutPassword(authority, tail string) bool {
	before, _, found := strings.Cut(tail, "@")
	host, _, err := net.SplitHostPort(authority)
	if !found || err != nil || strings.ContainsRune(before, '=') || strings.EqualFold(host, "localhost") {
		return false
	}
	_, err = netip.ParseAddr(host)
	return err != nil
}

// parseHost reads host and port. The host is as a URL has it, in ASCII; the port is empty where
// there is none.
func parseHost(s string) (host, port string, err error) {
	if inside, is := strings.CutPrefix(s, "["); is {
		inside, after, closed := strings.Cut(inside, "]")
		// A URL has %25 before a zone (RFC 6874), and people write % alone, as all other programs
		// do.
		address, zone, zoned := strings.Cut(inside, "%")
		if zoned {
			zone = strings.TrimPrefix(zone, "25")
			address += "%" + zone
		}
		a, err := netip.ParseAddr(address)
		if err != nil || !closed || !a.Is6() || zone != "" && !zoneName.MatchString(zone) {
			return "", "", errors.New("there is no IPv6 address in the brackets")
		}
		if after != "" && after[0] != ':' {
			return "", "", errors.New("something else than a port follows the brackets")
		}
		port, err = parsePort(strings.TrimPrefix(after, ":"))
		return "[" + strings.Replace(address, "%", "%25", 1) + "]", port, err
	}
	if strings.Count(s, ":") > 1 {
		return "", "", errors.New("there is more than one port; an IPv6 address goes into brackets, such as [::1]:8080")
	}
	host, port, _ = strings.Cut(s, ":")
	if port, err = parsePort(port); err != nil {
		return "", "", err
	}
	if host, err = url.PathUnescape(host); err != nil {
		return "", "", errors.New("a % in the host begins no escape")
	}
	host, err = asciiHost(host)
	return host, port, err
}

// zoneName is what names a network interface and needs no escape.
var zoneName = regexp.MustCompile(`^[A-Za-z0-9._~-]+$`)

func parsePort(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return "", errors.New("the port is no number from 1 to 65535")
	}
	return strconv.FormatUint(n, 10), nil
}

// asciiHost is the form of a host's name that DNS, TLS and the header Host have (RFC 5890).
func asciiHost(host string) (string, error) {
	if _, err := netip.ParseAddr(host); err == nil {
		return host, nil
	}
	for _, c := range []byte(host) {
		if c >= 0x80 {
			ascii, err := idna.Lookup.ToASCII(host)
			if err != nil {
				return "", errors.New("the host is no name that DNS can have")
			}
			host = ascii
			break
		}
	}
	switch {
	case host == "":
		return "", errors.New("the host is missing")
	case strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || strings.ContainsRune(`"#%/:<>?@[\]^`+"`{|}\x7f", r) }):
		return "", errors.New("the host holds a character that no host has")
	}
	return host, nil
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// escapePath escapes what a path cannot hold as it is. What is escaped already stays: %2F is not
// the same as a slash.
func escapePath(path string) (string, error) {
	if strings.ContainsRune(path, '\\') {
		return "", errors.New(`it holds a \: write / or %5C`)
	}
	for i := range len(path) {
		if path[i] == '%' && (i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2])) {
			return "", errors.New("a % in the path begins no escape: write %25 for it")
		}
	}
	return escape(path, "\"<>^`{|}"), nil
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// escape escapes blanks, all that is not ASCII, and the characters in others.
func escape(s, others string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(s) {
		if c > ' ' && c < 0x7f && strings.IndexByte(others, c) < 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

// Mask returns an address as it may be shown, however broken it is: without all that may be user or
// password. A URL that can be read is better shown by [Display].
func Mask(s string) string {
	scheme, rest := cutScheme(s)
	if scheme != "" {
		scheme += "://"
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		return scheme + "xxxxx@" + maskPort(rest[at+1:])
	}
	return scheme + maskPort(rest)
}

// maskPort masks what is no port: who forgot the host has a password there.
func maskPort(s string) string {
	authority, _ := cutAuthority(s)
	skipped := 0
	if end := strings.IndexByte(authority, ']'); end >= 0 {
		if _, err := netip.ParseAddr(strings.TrimPrefix(authority[:end], "[")); err == nil {
			skipped = end
		}
	}
	if name, port, found := strings.Cut(authority[skipped:], ":"); found {
		if _, err := strconv.ParseUint("0"+port, 10, 64); err != nil {
			return authority[:skipped] + name + ":xxxxx"
		}
	}
	return s
}
