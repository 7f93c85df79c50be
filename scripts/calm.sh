#!/bin/sh
# Ramps the bundled server RAMPS times and counts the levels that raise a doubt: on a calm machine there should be none. A
# doubt that is often raised is soon ignored.
set -eu
cd "$(dirname "$0")/.."
ramps=${RAMPS:-20}
mkdir -p bin
${GO:-go} test -c -tags=load -o bin/client ./loadtest
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
for _ in $(seq "$ramps"); do
	(cd loadtest && RESULTS=$work/results DURATION=${DURATION:-1s} ../bin/client -test.run '^TestRamp$') >>"$work/out" 2>&1 || { cat "$work/out" >&2; exit 1; }
done
levels=$(grep -c '^Injecting' "$work/out")
doubts=$(grep -c '^doubt at' "$work/out" || true)
echo "$doubts doubts in $levels levels of $ramps ramps"
[ "$doubts" = 0 ] || { grep '^doubt at' "$work/out"; exit 1; }
