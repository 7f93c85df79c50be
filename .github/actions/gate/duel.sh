#!/usr/bin/env bash
# What action.yml runs; its inputs are variables in capitals. Exit codes: 0, or that of perfgate
# where the verdict is to fail the step, or 2 where the inputs are wrong or a build fails.
# PERFGATE names a perfgate that is there already.
set -euo pipefail

refuse() { echo "::error::performance gate: $*" >&2; exit 2; }

case ${FAIL_ON:=regressed} in
regressed | inconclusive) ;;
*) refuse "fail-on: $FAIL_ON: want regressed or inconclusive" ;;
esac
server=${BUILD:-}${COMMAND:-} commands=${BASELINE:-}${CANDIDATE:-} bench=${BENCH:-}
ways=0
for way in "$server" "$commands" "$bench"; do [ -z "$way" ] || ways=$((ways + 1)); done
[ $ways = 1 ] || refuse 'want one of: build and command, baseline and candidate, or bench'
both() { # NAMES VALUE VALUE: both are set, or none
	[ -z "$2$3" ] || { [ -n "$2" ] && [ -n "$3" ]; } || refuse "$1: want both"
}
both 'build and command' "${BUILD:-}" "${COMMAND:-}"
both 'baseline and candidate' "${BASELINE:-}" "${CANDIDATE:-}"

work=$(mktemp -d)
tree=
clean() {
	[ -z "$tree" ] || git worktree remove --force "$tree" || true
	rm -rf "$work"
}
trap clean EXIT

if [ -z "$commands" ]; then
	[ -n "${BASE:-}" ] || refuse 'base: want a commit to compare with; it has a default in pull requests only'
	commit=$(git rev-parse --verify --quiet --end-of-options "$BASE^{commit}") ||
		refuse "base: $BASE is no commit of this checkout; want fetch-depth: 0 for actions/checkout"
fi
if [ -n "$server" ]; then
	tree=$work/tree
	git worktree add --quiet --detach "$tree" "$commit"
	mkdir "$work/baseline" "$work/candidate"
	echo "::group::build of the baseline, $commit"
	(cd "$tree" && OUT=$work/baseline bash -eo pipefail -c "$BUILD") || refuse 'build of the baseline failed'
	echo '::endgroup::'
	echo '::group::build of the candidate'
	OUT=$work/candidate bash -eo pipefail -c "$BUILD" || refuse 'build of the candidate failed'
	echo '::endgroup::'
	BASELINE="cd '$tree'; OUT='$work/baseline'; export OUT; $COMMAND"
	CANDIDATE="OUT='$work/candidate'; export OUT; $COMMAND"
fi
if [ -z "${PERFGATE:-}" ]; then
	PERFGATE=$work/perfgate
	go build -C "$GITHUB_ACTION_PATH/../../.." -buildvcs=false -o "$PERFGATE" ./scripts/perfgate ||
		refuse 'perfgate cannot be built'
fi

mkdir -p "$RESULTS"
comment=$RESULTS/comment.md
rm -f "$comment" # of another run
read -ra flags <<<"${FLAGS:-}"
if [ -n "$bench" ]; then
	read -ra packages <<<"$bench"
	set -- bench -base "$commit" -md -comment "$comment" -results "$RESULTS" ${flags[@]+"${flags[@]}"} "${packages[@]}"
else
	set -- run -baseline "$BASELINE" -candidate "$CANDIDATE" -md -comment "$comment" -results "$RESULTS"
	[ -z "${URI:-}" ] || set -- "$@" -uri "$URI"
	set -- "$@" ${flags[@]+"${flags[@]}"}
fi
code=0
"$PERFGATE" "$@" || code=$?
verdict=unjudged
case $code in 0) verdict=pass ;; 1) verdict=regressed ;; 3) verdict=inconclusive ;; esac
{
	echo "verdict=$verdict"
	echo "exit-code=$code"
	if [ -f "$comment" ]; then echo "comment=$comment"; fi
} >>"$GITHUB_OUTPUT"
case $verdict in
pass) exit 0 ;;
inconclusive)
	if [ "$FAIL_ON" != inconclusive ]; then
		echo '::warning::performance gate: inconclusive; the summary says what would decide'
		exit 0
	fi
	;;
esac
echo "::error::performance gate: $verdict"
exit "$code"
