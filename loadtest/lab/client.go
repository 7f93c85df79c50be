package lab

import (
	"bytes"
	"fmt"
	"os"

	"rampart/loadtest/result"
)

// ReadClient reads the result of one client: a result.json, or all that a client printed with
// OUTPUT=json, in which the result is a line of its own.
func ReadClient(path string) (result.Result, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return result.Result{}, fmt.Errorf("result of a client: %w", err)
	}
	if doc := bytes.TrimSpace(b); !bytes.HasPrefix(doc, []byte("{")) {
		b = nil
		for line := range bytes.Lines(doc) {
			if bytes.HasPrefix(line, []byte("{")) {
				b = append(b, line...)
			}
		}
		if b == nil {
			return result.Result{}, fmt.Errorf("result of a client: %s holds none: want result.json or what a client "+
				"prints with OUTPUT=json; it prints no result where it could not measure", path)
		}
	}
	r, err := result.ReadJSON(bytes.NewReader(b))
	if err != nil {
		return result.Result{}, fmt.Errorf("result of a client: %s: %w", path, err)
	}
	return r, nil
}
