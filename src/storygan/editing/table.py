"""Numbers of frames as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def frame_table(numbers: Mapping[str, Sequence[float | None]]) -> str:
    """Rows of n numbers, one a frame, under a heading; `-` where there is no number."""
    n, width = max(map(len, numbers.values())), max(map(len, numbers))
    lines = [" " * width + "".join(f"{f'frame {t}':>10}" for t in range(1, n + 1))]
    for name, values in numbers.items():
        lines.append(f"{name:<{width}}" + "".join(f"{'-' if x is None else f'{x:.3f}':>10}" for x in values))
    return "\n".join(lines)
