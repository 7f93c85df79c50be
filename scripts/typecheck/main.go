// Command typecheck type-checks all packages of the module, with their tests and with -tags=load,
// for the systems that are named, from source: typecheck darwin. go vet would compile Go's own
// library and all modules for each of them first, which takes minutes on a fresh machine. Exit
// codes: 0 no error, 1 errors, which are printed, 2 the packages cannot be listed.
package main

import (
	"fmt"
	"os"

	"golang.org/x/tools/go/packages"
)

func main() {
	errors := 0
	for _, system := range os.Args[1:] {
		found, err := check(system, "./...")
		if err != nil {
			fmt.Fprintln(os.Stderr, "typecheck:", err)
			os.Exit(2)
		}
		for _, e := range found {
			fmt.Fprintf(os.Stderr, "%s: %v\n", system, e)
		}
		errors += len(found)
	}
	if errors > 0 {
		os.Exit(1)
	}
}

// check returns what is wrong with the packages on a system, such as darwin.
func check(system string, patterns ...string) ([]packages.Error, error) {
	all, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
			packages.NeedDeps | packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedTypesSizes,
		// What needs a C compiler for another system cannot be checked on this one.
		Env:        append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0"),
		BuildFlags: []string{"-tags=load", "-buildvcs=false"},
		Tests:      true,
	}, patterns...)
	if err != nil {
		return nil, fmt.Errorf("listing the packages for %s: %w", system, err)
	}
	seen := make(map[packages.Error]bool) // a package and its test are checked on their own
	var found []packages.Error
	packages.Visit(all, nil, func(p *packages.Package) {
		for _, e := range p.Errors {
			if !seen[e] {
				seen[e] = true
				found = append(found, e)
			}
		}
	})
	return found, nil
}
