"""Plain copies of GGUF files below `memory`.

Reading a GGUF file takes long, because its weights and its tokenizer are converted in Python.
Therefore, each file is converted once and stored as a plain folder of transformers. The name of the
folder is a hash of the file's bytes, so that a changed file is converted again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skrec._common import files
from skrec._data.item_source import hash_of
from skrec.content._lm.loading import load_base
from skrec.content._lm.sources import GGUF, quiet
from skrec.content._lm.tokenizers import load_tokenizer

_LOCK = "converting.lock"


def plain_copies(memory: str | Path) -> Path:
    """Return the folder of all copies below `memory`; see `folder_below` for the errors."""
    return files.folder_below(memory, "gguf")


def plain_copy(model: Any, memory: str | Path | None, dtype: str) -> Any:
    """Return the folder of the plain copy of a GGUF file, which is made at the first call.

    Parameters
    ----------
    model : str, Path or transformers.PreTrainedModel
        The parameter of the user.
    memory : str, Path or None
        Folder below which copies are stored. Without one, there are none.
    dtype : str
        Number type of the weights, as in `load_base`.

    Returns
    -------
    str, Path or transformers.PreTrainedModel
        `model` itself, unless it is the path of a GGUF file and there is a memory.

    Raises
    ------
    ValueError, OSError
        If the file cannot be read, or if the copy cannot be written.
    """
    if memory is None or not isinstance(model, str | os.PathLike):
        return model
    path = Path(model).expanduser()
    if path.suffix.lower() != GGUF or not path.is_file():
        return model
    root = plain_copies(memory)
    copy = root / f"{hash_of([str(path)])}-{dtype}"
    with files.locked(root / _LOCK, Path(memory), "memory"):
        if not copy.is_dir():
            base = load_base(model, dtype)
            size = sum(weight.nbytes for weight in base.model.state_dict().values())
            files.check_space(root, size, f"a plain copy of {path.name}", "memory")
            with files.new_folder(copy) as new:
                _write(base.model, model, new)
    return copy


def delete_copies(memory: str | Path) -> int:
    """Delete all copies below `memory`, and return the number of their bytes."""
    root, freed = plain_copies(memory), 0
    if not root.is_dir():
        return 0
    with files.locked(root / _LOCK, Path(memory), "memory"):
        for folder in _folders(root):
            freed += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            shutil.rmtree(folder)
    shutil.rmtree(root, ignore_errors=True)
    return freed


def _folders(root: Path) -> Iterator[Path]:
    return (folder for folder in root.iterdir() if folder.is_dir() and not folder.is_symlink())


def _write(model: Any, gguf: str | os.PathLike[str], folder: Path) -> None:
    """Write a model to a folder, and its tokenizer, if the GGUF file has one."""
    with quiet():
        model.save_pretrained(folder)
        try:
            load_tokenizer(None, gguf).save_pretrained(folder)
        except ValueError:
            return  # the user must give one, and gets the error of the copy
