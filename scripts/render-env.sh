#!/usr/bin/env bash
# Make the environment of Blender as a Python module (bpy), separate from .venv: bpy needs CPython 3.11 and numpy<2.
# Usage: scripts/render-env.sh FOLDER
set -euo pipefail
folder=$1
cd "$(dirname "$0")/.."

if [ ! -x "$folder/bin/python" ]; then
    python=$(sh scripts/find-python.sh 3.11)
    "$python" -m venv "$folder"
fi
echo "render-env: installing Blender as a Python module into $folder (about 400 MB, once)"
"$folder/bin/python" -m pip install -qq --disable-pip-version-check \
    --require-hashes --no-deps -r constraints-render.txt

# bpy links the X and GL libraries of the system even to render without a screen.
bpy=$("$folder/bin/python" -c 'import importlib.util as u; print(u.find_spec("bpy").origin)')
missing() { ldd "$bpy" 2>/dev/null | awk '/not found/ { print $1 }' | sort -u; }
debian=(libgl1 libice6 libsm6 libx11-6 libxext6 libxfixes3 libxi6 libxkbcommon0 libxrender1)
if [ -n "$(missing)" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "render-env: installing Blender's system libraries with apt-get: ${debian[*]}"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${debian[@]}" >/dev/null
    fi
    if [ -n "$(missing)" ]; then
        echo "render-env: system libraries are missing:" $(missing) >&2
        echo "render-env: on Debian or Ubuntu: apt-get install ${debian[*]}" >&2
        exit 1
    fi
fi
"$folder/bin/python" -c 'import bpy, OpenEXR' >/dev/null
echo "render-env: $(grep -o "^bpy==[0-9.]*" constraints-render.txt) is ready in $folder"
