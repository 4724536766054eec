"""What `import skrec` costs, against the import of the packages that it needs at once."""

import subprocess
import sys
from functools import partial
from pathlib import Path

from _common import alternate, arguments, report

ROOT = Path(__file__).parents[1]


def run(code: str) -> None:
    """Run a line of Python in a new interpreter, from the checkout's root."""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def main() -> None:
    args = arguments(__doc__)
    seconds = alternate(
        {
            "skrec": partial(run, "import skrec"),
            "needed": partial(run, "import torch, sklearn, pandas"),
        },
        repeats=5 if args.quick else 9,
    )
    report("import", ratio=seconds["skrec"] / seconds["needed"], seconds=seconds)


if __name__ == "__main__":
    main()
