#!/usr/bin/env bash
# The unit test of the PerfKitBenchmarker module: needs Debian's python3-absl and python3-yaml, or
# the same from elsewhere. PKB is a checkout of PerfKitBenchmarker with a copy of the module in it;
# unset: the small stand-in beside this file.
set -euo pipefail
package=${PKB:+$(realpath "$PKB")}
cd "$(dirname "$0")"

for python in ${PYTHON:-python3 /usr/bin/python3}; do
	if "$python" -c 'import absl, yaml' 2>/dev/null; then
		make --no-print-directory -C ../.. pkb-binaries
		export PYTHONPATH=${package:-$PWD/standin}${PYTHONPATH:+:$PYTHONPATH} PYTHONDONTWRITEBYTECODE=1
		exec "$python" flaskbench_benchmark_test.py "$@"
	fi
done
echo 'SKIPPED: no python3 that has absl and yaml (Debian: python3-absl, python3-yaml)'
