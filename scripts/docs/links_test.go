// Package docs holds what must be true of the pages of this repository. It has only tests.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
)

// TestLinksResolve holds that each link to something in the repository is relative, and that the
// file and its heading exist.
func TestLinksResolve(t *testing.T) {
	found := 0
	for _, path := range pages(t) {
		text := prose(t, path)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			found++
			file, fragment, _ := strings.Cut(m[1], "#")
			target := path
			if file != "" {
				require.False(t, filepath.IsAbs(file), "%s: %s is not relative", path, m[1])
				target = filepath.Join(filepath.Dir(path), file)
				_, err := os.Stat(target)
				require.NoError(t, err, "%s: %s", path, m[1])
			}
			if fragment != "" {
				require.Contains(t, anchors(prose(t, target)), fragment, "%s: %s has no such heading", path, target)
			}
		}
	}
	require.Greater(t, found, 10)
}

// TestStartPageIsShort holds that what a newcomer reads first is read in ten minutes.
func TestStartPageIsShort(t *testing.T) {
	require.LessOrEqual(t, strings.Count(read(t, "../../README.md"), "\n"), 200)
}

// pages are the pages of the repository.
func pages(t *testing.T) (found []string) {
	require.NoError(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && d.Name() != ".." && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			found = append(found, path)
		}
		return err
	}))
	require.Contains(t, found, "../../README.md")
	return found
}

func read(t *testing.T, path string) string {
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

// prose is a page without its blocks of code, where what looks like a link or a heading is none.
func prose(t *testing.T, path string) string {
	var text strings.Builder
	for line := range strings.Lines(read(t, path)) {
		if !strings.HasPrefix(line, "    ") {
			text.WriteString(line)
		}
	}
	return text.String()
}

// anchors are the names under which GitHub reaches the headings of a page: lower case, letters,
// digits, hyphens and underlines, hyphens for spaces.
func anchors(text string) (names []string) {
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		names = append(names, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, m[1]))
	}
	return names
}

func TestAnchors(t *testing.T) {
	require.Equal(t, []string{"perfgate--json", "in-the-cloud-perfkitbenchmarker", "duel_jsonl"},
		anchors("## perfgate -json\ntext\n# In the cloud: PerfKitBenchmarker\n### `duel_json`l\n"))
}
