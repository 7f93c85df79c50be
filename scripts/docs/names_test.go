package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"rampart/loadtest/lab"
	"rampart/loadtest/result"
)

var (
	code     = regexp.MustCompile("(?m)^    .*$|`[^`]*`")
	makeVerb = regexp.MustCompile(`\bmake ((?:[A-Z_]+=\S* )*)([a-z][a-z-]*)`)
	target   = regexp.MustCompile(`(?m)^([a-z-]+):.*## `)
	variable = regexp.MustCompile("`([A-Z][A-Z0-9_]*)`")
	option   = regexp.MustCompile("`--?([A-Za-z][A-Za-z0-9_-]*)")
	pkbFlag  = regexp.MustCompile(`flags\.DEFINE_\w+\(\s*['"]([a-z_]+)['"]`)
)

// TestVerbsExist holds that each verb of make that a page names is in the list of make help.
func TestVerbsExist(t *testing.T) {
	var verbs []string
	for _, m := range target.FindAllStringSubmatch(read(t, "../../Makefile"), -1) {
		verbs = append(verbs, m[1])
	}
	require.Contains(t, verbs, "load")
	found := 0
	for _, path := range pages(t) {
		for _, text := range code.FindAllString(read(t, path), -1) {
			for _, m := range makeVerb.FindAllStringSubmatch(text, -1) {
				found++
				require.Contains(t, verbs, m[2], "%s: %s", path, text)
			}
		}
	}
	require.Greater(t, found, 20)
}

// TestTablesNameAll holds that the tables of flags and variables name those that the code has, and
// no others.
func TestTablesNameAll(t *testing.T) {
	var settings []string
	_, err := lab.SettingsFromEnv(func(name string) string { settings = append(settings, name); return "" })
	require.NoError(t, err)

	perfgate := defined(t, "../perfgate")
	both := append(perfgate["define"], perfgate["parseOptions"]...)
	// One flag for each side is named in a loop.
	run := slices.Concat(perfgate["parseDuel"], perfgate["defineLoad"], perfgate["defineRequest"],
		perfgate["defineExpect"], result.SideNames[:])
	bench := perfgate["parseBench"]

	server := defined(t, "../../server")["parseConfig"]
	flags := slices.DeleteFunc(slices.Clone(server), func(s string) bool { return s == strings.ToUpper(s) })
	variables := slices.DeleteFunc(slices.Clone(server), func(s string) bool { return s == strings.ToLower(s) })

	var pkb []string
	for _, m := range pkbFlag.FindAllStringSubmatch(read(t, "../pkb/flaskbench_benchmark.py"), -1) {
		pkb = append(pkb, m[1])
	}
	for _, test := range []struct {
		page, column string
		names        *regexp.Regexp
		want         []string
	}{
		{"../../loadtest/README.md", "variable", variable, settings},
		{"../perfgate/README.md", "flag", option, both},
		{"../perfgate/README.md", "flag of `perfgate run`", option, run},
		{"../perfgate/README.md", "flag of `perfgate bench`", option, bench},
		{"../perfgate/README.md", "flag of `perfgate prove`", option, perfgate["parseProve"]},
		{"../../server/README.md", "flag", option, flags},
		{"../../server/README.md", "variable", variable, variables},
		{"../pkb/README.md", "flag", option, pkb},
	} {
		t.Run(filepath.Base(filepath.Dir(test.page))+"/"+test.column, func(t *testing.T) {
			require.NotEmpty(t, test.want)
			require.Empty(t, cmp.Diff(sorted(test.want), sorted(named(t, test.page, test.column, test.names))),
				"- is in the code, + is on the page")
		})
	}
}

func sorted(names []string) []string { return slices.Compact(slices.Sorted(slices.Values(names))) }

// named returns what a pattern finds in a column of the tables of a page.
func named(t *testing.T, page, column string, names *regexp.Regexp) (found []string) {
	at := -1 // where the column is, in the table that the line is in
	inTable := false
	for line := range strings.Lines(read(t, page)) {
		cells, is := strings.CutPrefix(strings.TrimSpace(line), "|")
		row := strings.Split(cells, "|")
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
		switch {
		case !is:
			at = -1
		case !inTable:
			at = slices.Index(row, column)
		case at >= 0 && at < len(row):
			for _, m := range names.FindAllStringSubmatch(row[at], -1) {
				found = append(found, m[1])
			}
		}
		inTable = is
	}
	return found
}

// defined returns the names of flags and variables that each function of a program defines: the
// first string that a method of a flag set gets, all names that a function called define gets, and
// what is asked of getenv.
func defined(t *testing.T, dir string) map[string][]string {
	names := make(map[string][]string)
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		for _, decl := range file.Decls {
			function, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(function, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				most := 0 // how many of the strings are names
				switch f := call.Fun.(type) {
				case *ast.SelectorExpr:
					if set, ok := f.X.(*ast.Ident); ok && set.Name == "flags" {
						most = 1
					}
				case *ast.Ident:
					most = map[string]int{"define": 2, "getenv": 1}[f.Name]
				}
				for _, arg := range call.Args {
					if s, ok := arg.(*ast.BasicLit); ok && s.Kind == token.STRING && most > 0 {
						most--
						if name, err := strconv.Unquote(s.Value); err == nil && name != "" {
							names[function.Name.Name] = append(names[function.Name.Name], name)
						}
					}
				}
				return true
			})
		}
	}
	require.NotEmpty(t, slices.Collect(maps.Keys(names)), dir)
	return names
}
