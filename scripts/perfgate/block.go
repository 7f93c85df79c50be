package main

import (
	"fmt"
	"strconv"
	"strings"
)

// block names a block of a duel. The zero value is none: the first block is 1.
type block struct {
	seed   uint64
	number int
}

// blockPrefix begins the comment that says in which block the following samples were taken. The seed is that of the duel
// and tells one duel from another. What else the comment says, as key=value, is for others.
const blockPrefix = "# rampart duel "

// parseBlock parses such a comment. ok is false where the line is none.
func parseBlock(line string) (b block, ok bool, err error) {
	fields, ok := strings.CutPrefix(line, blockPrefix)
	if !ok {
		return block{}, false, nil
	}
	seeded := false
	for field := range strings.FieldsSeq(fields) {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "seed":
			b.seed, err = strconv.ParseUint(value, 10, 64)
			seeded = err == nil
		case "block":
			if b.number, err = strconv.Atoi(value); b.number < 1 {
				b.number = 0
			}
		}
	}
	if !seeded || b.number == 0 {
		return block{}, true, fmt.Errorf("%q: want %sseed=42 block=1", line, blockPrefix)
	}
	return b, true, nil
}
