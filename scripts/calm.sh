#!/bin/sh
# Ramps the bundled server RAMPS times on the calm machine, where no level may raise a doubt (a
# doubt that is often raised is soon ignored), as often beside two busy loops, and as often beside
# a compiler: there each ramp has to raise machine-shared. Prints a table; exit code 1: it is not
# so. LIMIT is how many seconds a ramp may take.
set -eu
cd "$(dirname "$0")/.."
ramps=${RAMPS:-20} limit=${LIMIT:-120} go=${GO:-go}
export DURATION="${DURATION:-1s}"
mkdir -p bin
$go test -c -tags=load -o bin/client ./loadtest
work=$(mktemp -d)

# What burns ends by itself as well, should this script be killed: timeout ends its whole group
# then, and when it is ended.
burners=
burn() {
	timeout $((ramps * limit)) sh -c "$1" burner "$work" "$go" >/dev/null 2>&1 &
	burners="$burners $!"
}
calm() {
	for pid in $burners; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	burners=
}
trap 'calm; rm -rf "$work" || true' EXIT
trap 'exit 130' INT TERM HUP

# ramp_beside NAME: the ramps, and their row of the table.
ramp_beside() {
	levels=0 shared=0 doubtful=0
	for i in $(seq "$ramps"); do
		results=$work/$1.$i
		if ! (cd loadtest && RESULTS=$results timeout --foreground "$limit" \
			../bin/client -test.run '^TestRamp$') >"$work/out" 2>&1; then
			cat "$work/out" >&2
			exit 1
		fi
		levels=$((levels + $(grep -c '^Injecting' "$work/out")))
		grep '^doubt' "$work/out" >"$work/doubts" && doubtful=$((doubtful + 1))
		sed "s/^/$1, ramp $i: /" "$work/doubts" >&2
		grep -q '"kind": "machine-shared"' "$results/latest/result.json" && shared=$((shared + 1))
	done
	echo "| $1 | $ramps | $levels | $doubtful | $shared |" >>"$work/table"
	case $1 in
	nothing) [ "$doubtful" = 0 ] || wrong=1 ;;
	*) [ "$shared" = "$ramps" ] || wrong=1 ;;
	esac
}

wrong=0
ramp_beside nothing
burn 'while :; do :; done'
burn 'while :; do :; done'
ramp_beside 'two busy loops'
calm
burn 'while :; do GOCACHE=$1/cache $2 build -a -o "$1/built" ./server; done'
ramp_beside 'a compiler'
calm
echo '| beside | ramps | levels | ramps with a doubt | with machine-shared |'
echo '|---|---:|---:|---:|---:|'
cat "$work/table"
exit "$wrong"
