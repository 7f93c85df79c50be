package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSoloPackagesHaveOneGoroutine holds that what make race leaves out starts no goroutine, in its
// tests neither.
func TestSoloPackagesHaveOneGoroutine(t *testing.T) {
	solo := regexp.MustCompile(`(?m)^SOLO := ((?:.*\\\n)*.*)$`).FindStringSubmatch(read(t, "../../Makefile"))
	require.NotNil(t, solo)
	folders := strings.Fields(strings.ReplaceAll(solo[1], "\\", ""))
	require.Contains(t, folders, "./loadtest/verdict")
	files := 0
	for _, folder := range folders {
		folder, all := strings.CutSuffix(folder, "/...")
		root := filepath.Join("..", "..", folder)
		require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && path != root && !all:
				return fs.SkipDir
			case !strings.HasSuffix(path, ".go"):
				return nil
			}
			files++
			parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			require.NoError(t, err)
			ast.Inspect(parsed, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					t.Errorf("%s starts a goroutine", path)
				case *ast.SelectorExpr:
					if n.Sel.Name == "Go" || n.Sel.Name == "Parallel" || n.Sel.Name == "AfterFunc" {
						t.Errorf("%s calls %s, which starts a goroutine", path, n.Sel.Name)
					}
				}
				return true
			})
			return nil
		}))
	}
	require.Greater(t, files, 30)
}
