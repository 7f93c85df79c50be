#!/usr/bin/env bash
# Puts a file as the one comment of the gate on the pull requests whose newest commit was judged: it
# writes a new one, or over the last one. It runs with the right to write, in a workflow of the main
# branch. The file comes from the pull request, maybe from a stranger's fork. So nothing of it is
# run, it names neither the pull request nor anybody, and it is cut to what a comment may hold.
#
# REPOSITORY=owner/name HEAD_OWNER=… HEAD_BRANCH=… HEAD_SHA=… GH_TOKEN=… comment.sh FILE
set -euo pipefail
mark='<!-- performance gate -->'
most=60000 # bytes; a comment may have 65 536 characters

file=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ ! -s "$file" ]; then
	# The comment on an older commit must not stand for this one.
	file=$work/none
	echo '## perfgate: not judged: the log of the workflow says why' >"$file"
fi
# Nobody is called by an @, and no HTML and no picture gets in.
head -c "$most" "$file" | LC_ALL=C sed -e 's/@/\&#64;/g' -e 's/</\&lt;/g' -e 's/!\[/!\&#91;/g' >"$work/escaped"
{
	printf '%s\n' "$mark"
	# iconv drops the half of a character that a cut leaves, and says so by 1.
	head -c "$most" "$work/escaped" | { iconv -c -f utf-8 -t utf-8 || [ $? = 1 ]; }
	printf '\nCommit %s\n' "$HEAD_SHA"
} >"$work/body"

# The pull request is found by what the platform itself says of the run, and not by the file. One
# that has a newer commit by now waits for the verdict on that.
gh api --method GET "repos/$REPOSITORY/pulls" -f state=open -f per_page=100 -f "head=$HEAD_OWNER:$HEAD_BRANCH" \
	--jq '.[] | select(.head.sha == env.HEAD_SHA) | .number' >"$work/pulls"
if [ ! -s "$work/pulls" ]; then
	echo "no open pull request has $HEAD_SHA as its newest commit: no comment is written"
	exit 0
fi
while read -r number; do
	old=$(MARK=$mark gh api --paginate "repos/$REPOSITORY/issues/$number/comments?per_page=100" \
		--jq '.[] | select(.user.type == "Bot" and (.body | startswith(env.MARK))) | .id')
	old=${old%%$'\n'*}
	if [ -n "$old" ]; then
		gh api --method PATCH "repos/$REPOSITORY/issues/comments/$old" -F "body=@$work/body" --silent
		echo "pull request $number: comment $old is the new one"
	else
		gh api --method POST "repos/$REPOSITORY/issues/$number/comments" -F "body=@$work/body" --silent
		echo "pull request $number: commented"
	fi
done <"$work/pulls"
