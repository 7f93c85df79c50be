package main

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func file(lines ...string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(strings.Join(lines, "\n") + "\n")}
}

func TestCheck(t *testing.T) {
	tree := fstest.MapFS{
		"a/a.go": file(
			strings.Repeat("é", 120),
			"\t"+strings.Repeat("x", 120),
			"\t// "+strings.Repeat("c ", 48),
			"\t// "+strings.Repeat("c ", 48)+"c",
			"x() // "+strings.Repeat("c ", 56),
			"//"+strings.Repeat("x", 300),
			"# in a raw string "+strings.Repeat("x", 102),
		),
		"a.sh":            file("# "+strings.Repeat("c ", 50), strings.Repeat("x", 121)),
		"a.csv":           file(strings.Repeat("x", 300)),
		"testdata/a.go":   file(strings.Repeat("x", 300)),
		".git/hooks/a.sh": file(strings.Repeat("x", 300)),
	}
	var out strings.Builder
	found, err := check(tree, nil, &out)
	require.NoError(t, err)
	require.Equal(t, `a/a.go:2: 121 columns, want at most 120
a/a.go:4: 101 columns, want at most 100
a.sh:1: 102 columns, want at most 100
a.sh:2: 121 columns, want at most 120
`, out.String())
	require.Equal(t, 4, found)

	_, err = check(fstest.MapFS{"a.go": file(strings.Repeat("x", 1<<20))}, nil, &out)
	require.ErrorContains(t, err, "a.go")
}

// TestListOnlyShrinks holds that a file cannot stay on the list when it is clean, or gone.
func TestListOnlyShrinks(t *testing.T) {
	tree := fstest.MapFS{
		"clean.go": file("package a"),
		"long.go":  file(strings.Repeat("x", 121), strings.Repeat("x", 121)),
		"b.go":     file(strings.Repeat("x", 121)),
	}
	var out strings.Builder
	found, err := check(tree, []string{"clean.go", "gone.go", "long.go"}, &out)
	require.NoError(t, err)
	require.Equal(t, `b.go:1: 121 columns, want at most 120
clean.go: no line is too long, want it off the list unwrapped.txt
gone.go: no line is too long, want it off the list unwrapped.txt
`, out.String())
	require.Equal(t, 3, found)
}

// TestRepository holds that the lines of this repository are short enough.
func TestRepository(t *testing.T) {
	var out strings.Builder
	found, err := check(os.DirFS("../.."), strings.Fields(unwrapped), &out)
	require.NoError(t, err)
	require.Zero(t, found, "%s", out.String())
}
