#!/bin/sh
# Loads the original's workload under gunicorn with rampart and with k6, in turns, and prints the
# ratio of the capacities that they find: in each of ROUNDS rounds, the highest throughput of levels
# of 1, 2, 4 and 8 VUs.
# Needs gunicorn and Flask (Debian: gunicorn, python3-flask) and k6 (go install go.k6.io/k6@latest).
set -eu
cd "$(dirname "$0")/../.."
for needed in gunicorn k6; do
	command -v $needed >/dev/null || {
		echo "SKIPPED: $needed is not installed; the beginning of $0 says what is needed"
		exit 0
	}
done
duration=${DURATION:-4s}
mkdir -p bin
${GO:-go} test -c -tags=load -o bin/client ./loadtest
work=$(mktemp -d)
workers=$((2 * $(nproc) + 1))
PYTHONDONTWRITEBYTECODE=1 gunicorn --chdir scripts/original --bind 127.0.0.1:0 --workers $workers app:app \
	2>"$work/log" &
server=$!
trap 'kill $server; wait $server || true; rm -r "$work"' EXIT
until address=$(grep -so 'http://127[^ ]*' "$work/log") &&
	[ "$(grep -c 'Booting worker' "$work/log")" -ge $workers ]; do
	kill -0 $server || { cat "$work/log" >&2; exit 1; }
	sleep 0.1
done
cat >"$work/load.js" <<'JS'
import http from 'k6/http';
export default function () { http.get(__ENV.URL); }
export function handleSummary(data) {
  return { stdout: `${data.metrics.http_reqs.values.rate} ${data.metrics.http_req_failed.values.passes}\n` };
}
JS
echo "round vus rampart/s k6/s"
for round in $(seq "${ROUNDS:-5}"); do
	for vus in 1 2 4 8; do
		ours() {
			SERVER=$address RESULTS=$work/results VUS=$vus DURATION=$duration WARMUP=200ms \
				bin/client -test.run '^$' -test.bench Level |
				awk '/^BenchmarkLevel/ { for (i = 2; i <= NF; i++) if ($i == "req/s") print $(i - 1) }'
		}
		theirs() {
			k6 run --quiet --no-usage-report --vus "$vus" --duration "$duration" \
				-e URL="$address/?it1=60000&it2=1" "$work/load.js" |
				awk '{ if ($2 > 0) print "failed"; else print $1 }'
		}
		# whoever is first this time is second the next time
		if [ $(((round + vus) % 2)) = 0 ]; then a=$(ours) b=$(theirs); else b=$(theirs) a=$(ours); fi
		echo "$round $vus $a $b"
	done
done | tee "$work/levels"
awk '{ if ($3 > a[$1]) a[$1] = $3; if ($4 > b[$1]) b[$1] = $4; r[NR] = $3 / $4 }
END { for (i in a) printf "%.3f\n", a[i] / b[i] }' "$work/levels" | sort -n |
	awk '{ r[NR] = $1 } END {
		printf "capacity, rampart / k6: median %.3f, from %.3f to %.3f, %d rounds\n", r[int((NR + 1) / 2)], r[1], r[NR], NR
	}'
cat "$work"/results/*/result.json | grep -A2 '"doubts": \[$' || echo "no doubts"
