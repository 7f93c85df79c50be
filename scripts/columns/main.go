// Command columns names each line of a program that is too long to read: code of more than 120
// columns, comments of more than 100. A tab is one column, as in the linter lll. Files that have
// had such lines for long are in unwrapped.txt. They are not checked, and have to leave that list
// once they are clean. Exit codes: 0 there is nothing to mend, 1 there is, 2 a file cannot be read.
package main

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	widestCode    = 120
	widestComment = 100
)

//go:embed unwrapped.txt
var unwrapped string

func main() {
	found, err := check(os.DirFS("."), strings.Fields(unwrapped), os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "columns:", err)
		os.Exit(2)
	}
	if found > 0 {
		fmt.Fprintf(os.Stderr, "columns: %d places to mend\n", found)
		os.Exit(1)
	}
}

// leads are how a line begins that is a comment, by the ending of the file's name. Other files are
// not checked.
var leads = map[string]string{".go": "//", ".sh": "#"}

// check writes the place of each line that is too long in a file that is not listed, and each
// listed file that has none, and returns how many there are of both.
func check(tree fs.FS, listed []string, w io.Writer) (found int, err error) {
	long := make(map[string]bool) // the listed files that have lines that are too long
	err = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		lead, program := leads[path.Ext(name)]
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !program:
			return nil
		}
		file, err := tree.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		lines := bufio.NewScanner(file)
		for n := 1; lines.Scan(); n++ {
			width, widest := utf8.RuneCount(lines.Bytes()), widest(lines.Text(), lead)
			switch {
			case width <= widest:
			case slices.Contains(listed, name):
				long[name] = true
			default:
				found++
				fmt.Fprintf(w, "%s:%d: %d columns, want at most %d\n", name, n, width, widest)
			}
		}
		if err := lines.Err(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	for _, name := range listed {
		if !long[name] {
			found++
			fmt.Fprintf(w, "%s: no line is too long, want it off the list unwrapped.txt\n", name)
		}
	}
	return found, err
}

// widest is how many columns a line may have. What follows code on its line belongs to the code. A
// comment that is one word, such as an address, cannot be broken.
func widest(line, lead string) int {
	comment, ok := strings.CutPrefix(strings.TrimSpace(line), lead)
	switch {
	case !ok:
		return widestCode
	case len(strings.Fields(comment)) < 2:
		return len(line)
	}
	return widestComment
}
