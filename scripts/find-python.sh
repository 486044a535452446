#!/bin/sh
# Print a Python that can make a virtual environment; $1 is its version, "3.11+" or "3.11".
# $PYTHON, when set, is the only candidate.
case "$1" in
3.11) ok='sys.version_info[:2] == (3, 11)' candidates='python3.11 python3' ;;
*) ok='sys.version_info >= (3, 11)' candidates='python3.11 python3 python3.12 python3.13 python3.14' ;;
esac
hint=
for python in ${PYTHON:-$candidates}; do
    "$python" -c "import sys; sys.exit(not ($ok))" 2>/dev/null || continue
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        command -v "$python"
        exit 0
    fi
    hint=" $python lacks its venv module (on Debian and Ubuntu: apt-get install python3-venv)."
done
echo "storygan needs Python $1 with venv, and found none among: ${PYTHON:-$candidates}.$hint" >&2
echo "Name one with: make PYTHON=/path/to/python3.11" >&2
exit 1
