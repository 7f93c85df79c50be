#!/bin/sh
# Shows that both engines measure the same. In each of ROUNDS rounds the built-in injection and k6
# load a server with a service time of 5 ms in turns, with 1, 4 and 8 VUs for DURATION each; the
# medians of the ratios of throughput and p95 must be within TOLERANCE (10) per cent. Where k6's own
# work between two requests is short beside 5 ms, 3 holds as well.
# Needs k6 (go install go.k6.io/k6@latest).
set -eu
cd "$(dirname "$0")/.."
command -v k6 >/dev/null || { echo "SKIPPED: k6 is not installed; the beginning of $0 says how to get it"; exit 0; }
exec "${GO:-go}" test -tags=load -count=1 -timeout 1h -v -run '^TestEnginesAgree$' ./loadtest/k6
