// Package request reads what a user says of the requests that a server is asked: method, headers,
// body, certificates. Variables of the environment and flags of commands are read alike. It asks
// nobody. No error shows what may be a secret: the value of a header, a body, what is in a file.
package request

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
)

// methods are those that a server may be asked with.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
	http.MethodDelete, http.MethodOptions}

// Method reads a method.
func Method(s string) (string, error) {
	if !slices.Contains(methods, s) {
		return "", fmt.Errorf("want one of %s", strings.Join(methods, ", "))
	}
	return s, nil
}

// MethodFor is the method of a request of which nobody says it: POST where there is a body.
func MethodFor(body []byte) string {
	if len(body) > 0 {
		return http.MethodPost
	}
	return http.MethodGet
}

// Switch reads on or off.
func Switch(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "on", "true", "yes", "1":
		return true, nil
	case "off", "false", "no", "0":
		return false, nil
	}
	return false, errors.New("want on or off")
}

// largestHeader is how long a file of header lines may be.
const largestHeader = 1 << 20

// Header reads header lines as they are sent, or the name of the file that holds them after an @.
// The error names the line. Without any it returns nil.
func Header(s string) (http.Header, error) {
	if path, is := strings.CutPrefix(s, "@"); is {
		lines, err := read(path, largestHeader)
		if err != nil {
			return nil, fmt.Errorf("want lines of the form Name: value, or @FILE with the name of a file of them: %w", err)
		}
		s = string(lines)
	}
	header := http.Header{}
	for i, line := range strings.Split(s, "\n") {
		if strings.Trim(line, " \t\r") == "" {
			continue
		}
		if err := AddField(header, line); err != nil {
			return nil, fmt.Errorf("line %d %w", i+1, err)
		}
	}
	if len(header) == 0 {
		return nil, nil
	}
	return header, nil
}

// AddField adds a header line to those that there are.
func AddField(header http.Header, line string) error {
	refuse := func(reason string) error {
		return fmt.Errorf("%s: want lines of the form Name: value, of which nothing is shown here", reason)
	}
	line = strings.TrimRight(line, " \t\r")
	name, value, found := strings.Cut(line, ":")
	value = strings.Trim(value, " \t")
	switch {
	case line == "":
		return refuse("is empty")
	case strings.ContainsAny(line[:1], " \t"):
		return refuse("begins with a blank")
	case !found:
		return refuse("has no colon")
	case !isToken(name):
		return refuse("has no name before its colon, of letters, digits and -, that a header can have")
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return refuse("holds a control character")
	}
	header.Add(name, value)
	return nil
}

// isToken reports whether s can be the name of a header (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

// largestBody is how long a body may be: it is kept in memory.
const largestBody = 256 << 20

// Body reads a body, or the name of the file that holds it after an @.
func Body(s string) ([]byte, error) {
	path, is := strings.CutPrefix(s, "@")
	switch {
	case s == "":
		return nil, nil
	case !is:
		return []byte(s), nil
	}
	const want = "want a text, or @FILE with the name of a file of at most 256 MB"
	body, err := read(path, largestBody)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", want, err)
	}
	return body, nil
}

// read returns what is in a file that is no longer than most. The error does not show its path,
// which may be a secret that was taken for one.
func read(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, pathless(err)
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no file")
	case info.Size() > most:
		return nil, fmt.Errorf("it is longer than %d MB", most>>20)
	}
	content, err := os.ReadFile(path)
	return content, pathless(err)
}

// pathless is an error of package os without the path.
func pathless(err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}
