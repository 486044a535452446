"""A stand-in for blender_worker.py: the same protocol, random pixels that depend on settings and story alone.

FAKE_WORKER_SECONDS: duration of a story. FAKE_WORKER_EXITS: x of the first object of the story in which to exit.
"""

import json
import os
import sys
import time
import zlib

import numpy as np

settings = json.loads(sys.stdin.readline())
for line in sys.stdin:
    story = json.loads(line)
    if os.environ.get("FAKE_WORKER_EXITS") == str(story["objects"][0]["x"]):
        sys.exit("out of memory")
    time.sleep(float(os.environ.get("FAKE_WORKER_SECONDS", "0")))
    rng = np.random.default_rng(zlib.crc32(line.encode()))
    shape = (len(story["objects"]), settings["size"], settings["size"], 3)
    sys.stdout.buffer.write(rng.integers(0, 256, shape, np.uint8).tobytes())
    sys.stdout.flush()
