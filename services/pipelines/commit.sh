#!/bin/sh
# A checkout's folder in, the commit that is checked out there out; "unknown" where git is not told.
set -eu
cd "$1/.git" 2>/dev/null || { echo unknown; exit; }
head=$(cat HEAD 2>/dev/null || echo unknown)
case $head in
  "ref: "*)
    branch=${head#ref: }
    cat "$branch" 2>/dev/null || sed -n "s|^\([0-9a-f]*\) $branch\$|\1|p" packed-refs ;;
  *) echo "$head" ;;
esac
