#!/bin/sh
# Install storygan with the extra `all` in build/lowest (or build/newest): the lowest versions of what pyproject.toml names,
# or the newest; then run the commands there. Usage: scripts/versions.sh lowest|newest UV [OPTION of uv pip install...]
set -eu
cd "$(dirname "$0")/.."
name=$1 uv=$2 folder=$PWD/build/$1
shift 2
case $name in lowest) resolution=lowest-direct ;; *) resolution=highest ;; esac
"$uv" venv -q --clear --python "$(sh scripts/find-python.sh 3.11)" "$folder"
# A project's own requirements are direct ones where its pyproject.toml is given
"$uv" pip install -q --system-certs --python "$folder" --resolution "$resolution" "$@" -r pyproject.toml --extra all
"$uv" pip install -q --system-certs --python "$folder" --no-deps .
"$uv" pip freeze -q --python "$folder" >"$folder/versions.txt"

cd "$folder"
set -- "large red cube at (-2, -2)" "large green cube at (2, 2)" "large blue sphere at (-2, 2)" "small red cube at (2, -2)"
step() {
    echo "$name: storygan $*"
    bin/storygan "$@" >log.txt 2>&1 || { tail -n 30 log.txt; exit 1; }
}
for command in generate train data; do step "$command" --help; done
step generate "$@" --seed 7 --out story.png --out story.gif
step generate --model toon-sv "Fay the fox stands in the meadow." "She finds a kite." "Ben comes along." "They play." "They cheer."
step edit sentence "$@" --at 3 --to "large yellow sphere at (-2, 2)" --out changed.png
step export clevr-sv --onnx --out clevr.onnx
step data sample sample
step data check sample
step data render-toon toon --train 2 --test 2
set -- --stages.reconstruction.iterations 2 --stages.discriminators.iterations 1 --stages.adversarial.iterations 1
step train ../../configs/quickstart.yaml --data.path sample --run run --validation.every 0 "$@"
step evaluate --model run/model --data sample --stories 4
echo "$name: storygan demo"
bin/python - >log.txt 2>&1 <<'END' || { tail -n 30 log.txt; exit 1; }
from urllib.request import ProxyHandler, build_opener
from storygan.demo.server import running
with running(["clevr-sv"], "127.0.0.1", 0) as address:
    assert b"gradio" in build_opener(ProxyHandler({})).open(address).read()
END
echo "$name: all commands ran with $(wc -l <versions.txt) packages, listed in $folder/versions.txt"
