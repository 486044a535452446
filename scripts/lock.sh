#!/bin/sh
# Update the pins in $1: a clean install of the extras dev and fuzz, with the pins marked "# held" kept as they are.
set -eu
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
grep '# held' "$1" >"$scratch/held.txt"
sed 's/==.*/==/; s/^/^/' "$scratch/held.txt" >"$scratch/held-names.txt"
"$(sh scripts/find-python.sh 3.11)" -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install -qq --disable-pip-version-check -c "$scratch/held.txt" '.[dev,fuzz]'
{
    sed -n '/^#/!q; p' "$1" # the header
    cat "$scratch/held.txt"
    "$scratch/venv/bin/python" -m pip freeze --all --disable-pip-version-check |
        grep -vE '^(storygan|pip)\b' | grep -ivf "$scratch/held-names.txt"
} >"$scratch/new.txt"
mv "$scratch/new.txt" "$1"
