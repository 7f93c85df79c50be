#!/bin/sh
# Shows that connections that are kept alive spread over the workers. In STARTS fresh starts 1, 2, 4
# and 5 VUs must be served by as many workers. Two VUs must get the throughput of two cores: the
# ratio of two to one is measured in ROUNDS pairs of short windows, and the median is printed.
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}
STARTS=${STARTS:-50} "$go" test -count=1 -timeout 20m -v -run '^TestVUsSpreadOverWorkers$' ./loadtest

mkdir -p bin
"$go" build -buildvcs=false -o bin/server ./server
"$go" test -c -tags=load -o bin/client ./loadtest
work=$(mktemp -d)
bin/server -addr 127.0.0.1:0 2>"$work/log" &
server=$!
trap 'kill $server; wait $server; rm -r "$work"' EXIT
until address=$(grep -s '^listening on ' "$work/log"); do
	kill -0 $server || { cat "$work/log" >&2; exit 1; }
	sleep 0.05
done
export SERVER="${address#listening on }" RESULTS="$work/results" VUS=1,2 DURATION="${DURATION:-250ms}"
for _ in $(seq "${ROUNDS:-20}"); do
	bin/client -test.run '^$' -test.bench Level >"$work/out"
	awk '/^BenchmarkLevel/ { for (i = 2; i <= NF; i++) if ($i == "req/s") x[++n] = $(i - 1) }
		END { printf "%.3f\n", x[2] / x[1] }' "$work/out"
done | sort -n >"$work/ratios"
awk '{ r[NR] = $1 } END {
	median = NR % 2 ? r[(NR + 1) / 2] : (r[NR / 2] + r[NR / 2 + 1]) / 2
	printf "throughput of 2 VUs / 1 VU: median %.2f, from %.2f to %.2f, %d pairs of windows\n", median, r[1], r[NR], NR
}' "$work/ratios"
