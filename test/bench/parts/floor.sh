# The same work as one cell's, by hand: bash floor.sh <repository> <worktree> <branch> <prompt> <test command>. Prints its `times` at the end.
set -euo pipefail
repository=$1 worktree=$2 branch=$3 prompt=$4 test=$5
git -C "$repository" worktree add --quiet --detach "$worktree" main
cd "$worktree"
"$OPENCODE" run --model scripted/default --title floor "$prompt" < /dev/null > /dev/null
sh -c "$test"
git add --all
git switch --quiet --create "$branch"
git commit --quiet --message "$branch"
cd /
git -C "$repository" worktree remove "$worktree"
times
