"""`python -m storygan`: what `torchrun -m` starts."""

import sys

from storygan.cli.commands import main

sys.exit(main())
