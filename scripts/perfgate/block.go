package main

import (
	"fmt"
	"strconv"
	"strings"

	"rampart/loadtest/verdict"
)

// block names a block of a duel. The zero value is none: the first block is 1.
type block struct {
	seed   uint64
	number int
}

// blockPrefix begins the comment that says in which block the following samples were taken. The seed is that of the duel
// and tells one duel from another. It may also say how many requests of the block succeeded and failed: requests=1000
// failures=0. What else it says, as key=value, is for others.
const blockPrefix = "# rampart duel "

// blockComment is what such a comment says.
type blockComment struct {
	block
	counted  bool // it says how many requests succeeded and failed
	requests verdict.Count
}

// parseBlock parses such a comment. ok is false where the line is none.
func parseBlock(line string) (b blockComment, ok bool, err error) {
	fields, ok := strings.CutPrefix(line, blockPrefix)
	if !ok {
		return b, false, nil
	}
	given := make(map[string]bool)
	for field := range strings.FieldsSeq(fields) {
		key, value, _ := strings.Cut(field, "=")
		var bad error
		switch key {
		case "seed":
			b.seed, bad = strconv.ParseUint(value, 10, 64)
		case "block":
			if b.number, bad = strconv.Atoi(value); b.number < 1 {
				b.number = 0
			}
		case "requests":
			b.requests.Succeeded, bad = strconv.ParseUint(value, 10, 32)
		case "failures":
			b.requests.Failed, bad = strconv.ParseUint(value, 10, 32)
		}
		given[key] = bad == nil
	}
	_, requests := given["requests"]
	_, failures := given["failures"]
	b.counted = given["requests"] && given["failures"]
	switch {
	case !given["seed"] || b.number == 0:
		err = fmt.Errorf("%q: want %sseed=42 block=1", line, blockPrefix)
	case (requests || failures) && !b.counted:
		err = fmt.Errorf("%q: want both requests=1000 and failures=0, or none of them", line)
	}
	return b, true, err
}
