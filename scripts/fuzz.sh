#!/bin/sh
# Runs each fuzz target for FUZZTIME.
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}
for package in $("$go" list -buildvcs=false ./...); do
	for target in $("$go" test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "$package $target"
		"$go" test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-10s}" "$package"
	done
done
