"""What functions of a script return in several processes, for tests that compare them."""

import json
import os
import subprocess
import sys
from pathlib import Path


def rank_answers(script, names, limit):
    """Return the results of functions of a script, `tests/ranks.py` or one like it, by name.

    Each function may take `limit` seconds.
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).with_name(script)), *names],
        env=os.environ | {"OMP_NUM_THREADS": "1", "RANKS_LIMIT": str(limit)},
        capture_output=True,
        text=True,
        timeout=limit * 6,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))
