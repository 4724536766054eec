"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any


def write_whole(path: Path, parts: list[Any]) -> None:
    """Write a file under another name, then rename it: no one sees half of it."""
    unfinished = path.with_name(f"{uuid.uuid4().hex}.tmp")
    try:
        with open(unfinished, "xb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
