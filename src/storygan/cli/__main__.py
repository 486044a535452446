"""`python -m storygan.cli`."""

import sys

from storygan.cli.commands import main

sys.exit(main())
