"""Progress bars on stderr."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import std


class tqdm(std.tqdm):
    """Show progress on a terminal and in a notebook; show nothing in a file or a pipe, unless `disable` is False."""

    def __init__(self, iterable: Any = None, disable: bool | None = None, **options: Any) -> None:
        in_notebook = "ipykernel" in sys.modules  # its stderr is no terminal, but shows bars
        super().__init__(iterable, disable=False if disable is None and in_notebook else disable, **options)
