"""Draw the curves of `bench_split.py --measure curves`, from the lines that it printed.

`--lines` is a file of them, and `--out` the drawing. A curve is the mean of the seeds; its band
reaches from the lowest to the highest seed.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np

from _common import arguments

HERE = Path(__file__).parent
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 740, 400, 60, 200, 16, 52
# distinct for colour-blind readers, too
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
NAMES = {
    "whole": "whole model",
    "split-1": "1 layer",
    "split-2": "2 layers",
    "frozen": "no layer",
    "side": "SideNetwork",
}
WITHOUT_RATE = {"frozen", "side"}  # no pretrained weights are trained
STYLE = """
.curves { --c-text: #1f2328; --c-line: #d0d7de; font: 15px system-ui, Arial, sans-serif }
@media (prefers-color-scheme: dark) { .curves { --c-text: #e6edf3; --c-line: #3d444d } }
html[data-theme="light"] .curves { --c-text: #1f2328; --c-line: #d0d7de }
html[data-theme="dark"] .curves { --c-text: #e6edf3; --c-line: #3d444d }
.curves text { fill: var(--c-text) }
.curves .grid { stroke: var(--c-line) }
.curves .curve { fill: none; stroke-width: 2.5 }
"""


def read_curves(path):
    """Return the seconds (E,) and GAUC (seeds, E) of each way and rate, in order."""
    seeds = {}
    for line in Path(path).read_text().splitlines():
        row = json.loads(line)
        name = NAMES.get(row["mode"], row["mode"])
        if row["mode"] not in WITHOUT_RATE:
            name += f", rate {row['rate']:.0e}".replace("e-0", "e-")
        point = row["seconds"], row["test_gauc"]
        seeds.setdefault(name, {}).setdefault(row["seed"], []).append(point)
    curves = {}
    for name, of_seeds in seeds.items():
        points = np.array(list(of_seeds.values()))  # (seeds, E, 2)
        curves[name] = points[:, :, 0].mean(axis=0), points[:, :, 1]
    return curves


def drawing(curves):
    """Return the SVG of curves over seconds, whose axis is logarithmic."""
    all_seconds = np.concatenate([seconds for seconds, _ in curves.values()])
    first, last = math.log10(all_seconds.min() * 0.9), math.log10(all_seconds.max() * 1.1)
    values = np.concatenate([gauc.ravel() for _, gauc in curves.values()])
    low, high = math.floor(values.min() * 20) / 20, math.ceil(values.max() * 20) / 20

    def x(seconds):
        share = (math.log10(seconds) - first) / (last - first)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(gauc):
        return round(HEIGHT - BOTTOM - (gauc - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="curves" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'role="img" aria-labelledby="curves-title">',
        "<title id='curves-title'>GAUC on the test file over seconds of training</title>",
        f"<style>{STYLE}</style>",
    ]
    for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000):
        if first <= math.log10(tick) <= last:
            parts.append(
                f'<path class="grid" d="M{x(tick)} {TOP}V{HEIGHT - BOTTOM}"/>'
                f'<text x="{x(tick)}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{tick}</text>'
            )
    for tick in np.arange(low, high + 1e-9, 0.05):
        parts.append(
            f'<path class="grid" d="M{LEFT} {y(tick)}H{WIDTH - RIGHT}"/>'
            f'<text x="{LEFT - 8}" y="{y(tick) + 5}" text-anchor="end">{tick:.2f}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">seconds of one CPU core</text>'
    )
    labels = []
    for color, (name, (seconds, gauc)) in zip(COLORS, curves.items(), strict=False):
        upper = [f"{x(s)} {y(g)}" for s, g in zip(seconds, gauc.max(axis=0), strict=True)]
        lower = [f"{x(s)} {y(g)}" for s, g in zip(seconds, gauc.min(axis=0), strict=True)]
        band = "L".join(upper + lower[::-1])
        line = "L".join(f"{x(s)} {y(g)}" for s, g in zip(seconds, gauc.mean(axis=0), strict=True))
        parts.append(f'<path d="M{band}Z" fill="{color}" fill-opacity=".2"/>')
        parts.append(f'<path class="curve" d="M{line}" stroke="{color}"/>')
        labels.append((y(gauc[:, -1].mean()), x(seconds[-1]), color, name))
    bottom = -math.inf
    for at, start, color, name in sorted(labels):
        place = bottom = max(at, bottom + 20)  # labels do not overlap
        parts.append(
            f'<path d="M{start + 3} {at}L{WIDTH - RIGHT + 6} {place}" stroke="{color}" '
            'stroke-dasharray="2 3"/>'
            f'<text x="{WIDTH - RIGHT + 10}" y="{place + 5}">{name}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def main():
    lines, out = HERE / "curves" / "split.jsonl", HERE.parent / "docs" / "_static"
    args = arguments(__doc__, lines=str(lines), out=str(out / "split_curves.svg"))
    curves = read_curves(args.lines)
    if len(curves) > len(COLORS):
        sys.exit(f"there are {len(COLORS)} colors, and {args.lines} has {len(curves)} curves")
    Path(args.out).write_text(drawing(curves))


if __name__ == "__main__":
    main()
