#!/bin/sh
# Gives the module the path MODULE, everywhere: go.mod, imports, scripts, pages. The name of the
# project stays as it is. Prints the files that it changed. Run go vet and the tests after it.
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}
new=${MODULE:-}
[ -n "$new" ] || { echo 'rename: MODULE is not set: the new path, such as MODULE=example.org/you/rampart' >&2; exit 2; }
old=$("$go" list -m)
"$go" mod edit -module="$new" # rejects what is no path

# The path is what ends in a package of ours, in /... or /", or is compared or required as a whole.
# It begins where no longer path does: /home/me/rampart/loadtest is a folder.
path=$(printf %s "$old" | sed 's/[.]/\\./g')
begin='(^|[^A-Za-z0-9_./~-])'
packages="$begin$path/((loadtest|scripts|server)\\b|\\.\\.\\.|\")"
whole="(Path == \"|-require=|-replace=)$path(\"|@|=)"
grep -rlIE --exclude-dir=.git --exclude-dir=bin --exclude-dir=results "$packages|$whole" . | while read -r file; do
	sed -i -E "s#$packages#\\1$new/\\2#g; s#$whole#\\1$new\\2#g" "$file"
	case $file in
	*.go) gofmt -w "$file" ;; # imports are sorted
	esac
	echo "$file"
done
