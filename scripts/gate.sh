#!/bin/sh
# Builds the server at the commit BASE and that of the working tree, and lets them duel. Exit codes
# are those of perfgate: 0 pass, 1 regressed, 2 could not judge, 3 inconclusive; make turns all but
# 0 into 2. What else perfgate run should be told goes into GATE_FLAGS; the files into RESULTS.
set -u
cd "$(dirname "$0")/.." || exit 2
go=${GO:-go}
base=${BASE:-}
results=${RESULTS:-results}
[ -n "$base" ] || { echo 'gate: BASE is not set: the commit to compare with, such as BASE=main' >&2; exit 2; }
words=$(git rev-parse --git-dir 2>&1) || {
	echo "gate: git cannot say what BASE=$base is: $words" >&2
	echo 'gate: perfgate run compares two servers without git: -baseline COMMAND -candidate COMMAND' >&2
	exit 2
}
commit=$(git rev-parse --verify --quiet "$base^{commit}") || {
	echo "gate: BASE=$base is no commit of this repository; fetch it first (on GitHub: fetch-depth: 0)" >&2
	exit 2
}
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 2' INT TERM HUP
# With an index of its own it writes nothing into the repository, which may be read-only.
mkdir "$work/tree" || exit 2
GIT_INDEX_FILE=$work/index git read-tree "$commit" || exit 2
GIT_INDEX_FILE=$work/index git checkout-index --all --prefix="$work/tree/" || exit 2
echo "gate: baseline $(git log -1 --format='%h %s' "$commit"), candidate: the working tree" >&2
(cd "$work/tree" && CGO_ENABLED=0 "$go" build -trimpath -buildvcs=false -o "$work/baseline" ./server) || exit 2
CGO_ENABLED=0 "$go" build -trimpath -buildvcs=false -o "$work/candidate" ./server || exit 2
"$go" build -buildvcs=false -o "$work/perfgate" ./scripts/perfgate || exit 2
# shellcheck disable=SC2086 # flags are words
"$work/perfgate" run -baseline "exec $work/baseline -addr {addr}" -candidate "exec $work/candidate -addr {addr}" \
	-results "$results" ${GATE_FLAGS:-}
code=$?
for flag in ${GATE_FLAGS:-}; do
	case $flag in
	-json | --json | -json=[1tT]* | --json=[1tT]*) exec >&2 ;; # stdout is JSON and nothing else
	esac
done
if [ -f "$results/latest/candidate.txt" ] && [ $code != 2 ]; then
	echo
	"$go" tool benchstat baseline="$results/latest/baseline.txt" candidate="$results/latest/candidate.txt" || exit 2
fi
exit $code
