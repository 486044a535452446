"""Examples of each command, shown at the end of its `--help`."""

from __future__ import annotations

EXAMPLES = {
    "generate": """
storygan generate "large red rubber cube at (2.2, -2.8)" "a small blue ball left of it" --samples 4 --out story.png
storygan generate --file story.txt --seed 7 --out story.gif
storygan generate --model toon-sv --file cartoon.txt --out frames/
""",
    "parse": 'storygan parse "a big red ball in the middle" "a small matte cube behind it"',
    "sentence": """
storygan edit sentence --file story.txt --seed 7 --at 3 --to "large purple metal cylinder at (-2.1, 2.4)" --keep-context
""",
    "resample": "storygan edit resample --file story.txt --seed 7 --keep 1 3 --new-seed 8",
    "extend": 'storygan edit extend --file story.txt --seed 7 --add "large cyan rubber sphere at (1.5, 1.5)"',
    "interpolate": "storygan edit interpolate --file story.txt --seed 7 --new-seed 8 --steps 5",
    "attribution": "storygan edit attribution --file story.txt --seed 7 --json",
    "train": """
storygan train configs/quickstart.yaml --data.path data/sample
storygan train configs/paper.yaml --data.path data/clevr-sv --run runs/paper --stages.adversarial.iterations 10000
storygan train --resume runs/paper
storygan train configs/clevr-sv.yaml --from-stage refinement runs/clevr-sv/stages/2-reconstruction
""",
    "evaluate": """
storygan evaluate --model runs/paper/model --data data/clevr-sv
storygan evaluate --model previous-real-frame --data data/clevr-sv --stories 500 --json
storygan evaluate --frames ours=frames theirs=others.parquet --data data/clevr-sv --page evaluation.html
""",
    "compare": """
storygan compare configs/quickstart.yaml --data.path data/sample --variants storygan svc --minutes 10 --out runs/compare
""",
    "export": "storygan export runs/paper/model --onnx --out paper.onnx",
    "train-classifier": "storygan train-classifier --data data/clevr-sv --out runs/classifier",
    "train-matcher": "storygan train-matcher --data data/clevr-sv --out runs/matcher",
    "study": """
storygan study --model clevr-sv --frames theirs=frames --data data/clevr-sv --out study.html
storygan study --answers answers-*.jsonl
""",
    "check-classifier": "storygan check-classifier --data data/clevr-sv",
    "demo": """
storygan demo
storygan demo --model toon-sv runs/own/model --port 8000
""",
    "render-clevr": "storygan data render-clevr data/clevr-sv --train 12000 --validation 300 --test 3000 --seed 0",
    "render-toon": "storygan data render-toon data/toon-sv --train 10000 --validation 500 --test 500",
    "merge": "storygan data merge data/clevr-sv part-1 part-2",
    "sample": "storygan data sample data/sample",
    "add-nuisance": "storygan data add-nuisance data/clevr-sv",
    "check": "storygan data check data/clevr-sv --json",
    "push": "storygan data push data/own your-name/your-stories --private",
    "prompts": "storygan data prompts data/clevr-sv --split test --out prompts.jsonl",
    "clevr-sv": "storygan data import clevr-sv CLEVR data/clevr-original --train-below 10000",
    "pororo-sv": "storygan data import pororo-sv pororo_png data/pororo",
    "flintstones-sv": "storygan data import flintstones-sv flintstones data/flintstones",
    "stories": "storygan data import stories pictures data/own",
}
"""Lines of examples by the name of the command."""
