#!/bin/sh
# Checks everything that a machine can say about the code without running it.
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}
staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2
govulncheck=golang.org/x/vuln/cmd/govulncheck@v1.9.0

unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
	echo "gofmt would change:" "$unformatted" >&2
	exit 1
fi
"$go" run ./scripts/columns
"$go" vet ./...
"$go" vet -tags=load ./...
# The client runs on other systems, too; the server's supervisor says there that it cannot.
"$go" run ./scripts/typecheck darwin

if command -v golangci-lint >/dev/null; then
	golangci-lint run
else
	"$go" run "$staticcheck" -tags=load ./...
	"$go" run "$staticcheck" ./...
fi

# The database of vulnerabilities is on the network; without it there is nothing to check against.
if out=$("$go" run "$govulncheck" -tags=load ./... 2>&1); then
	echo "govulncheck: nothing found"
elif echo "$out" | grep -q 'fetching vulnerabilities\|dial tcp\|no such host\|proxyconnect'; then
	echo "govulncheck: SKIPPED, the vulnerability database cannot be reached"
else
	echo "$out" >&2
	exit 1
fi
