"""Item vectors in a saved folder, with hashes of the files that they belong to.

The file is safetensors. Its numbers begin at a multiple of 64 bytes, as those of torch do, because
sums of numbers that are aligned differently are rounded differently. It is mapped into memory when
it is read, so that the processes of a machine share one copy.
"""

from __future__ import annotations

import json
from pathlib import Path

import safetensors.torch
import torch
from safetensors import safe_open

from skrec._common.files import sha256
from skrec._saving.codec import Damaged
from skrec._saving.folder import relative_files
from skrec._saving.weights import to_array

FILE, ROWS, OWNERS = "item_vectors.safetensors", "rows", "files"
ABOUT = "README.md"  # which says nothing of the model that the other files do not say
ALIGNMENT = 64  # bytes
DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.bfloat16: "BF16", torch.float16: "F16"}


def write_rows(folder: Path, rows: torch.Tensor) -> None:
    """Write item rows to a folder, with hashes of the files of their model, which are there.

    Parameters
    ----------
    folder : Path
        Folder with the weights and the catalogue that the rows belong to.
    rows : tensor of shape (N, R)
        Item rows; see `skrec._inference.item_vectors.Encoding`.
    """
    owners = {name: sha256(folder / name) for name in relative_files(folder)}
    about = {
        "dtype": DTYPES[rows.dtype],
        "shape": list(rows.shape),
        "data_offsets": [0, rows.nbytes],
    }
    header = json.dumps({"__metadata__": {OWNERS: json.dumps(owners)}, ROWS: about}).encode()
    header += b" " * (-(8 + len(header)) % ALIGNMENT)
    with open(folder / FILE, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        to_array(rows.cpu().contiguous()).tofile(file)


def read_rows(folder: Path, files: dict[str, str]) -> torch.Tensor | None:
    """Return the item rows of a folder, or None if it has none.

    Parameters
    ----------
    folder : Path
        Folder of a saved recommender, whose files have been checked.
    files : dict of str to str
        SHA-256 of each file.

    Returns
    -------
    tensor of shape (N, R) or None
        The rows on the CPU, mapped into memory.

    Raises
    ------
    Damaged
        If the rows belong to other files.
    """
    path = folder / FILE
    if FILE not in files:
        return None
    wanted = {name: digest for name, digest in files.items() if name not in (FILE, ABOUT)}
    found = _owners(path)
    differing = sorted({name for name, _ in found.items() ^ wanted.items()})
    if differing:
        raise Damaged(
            f"the item vectors in '{path}' do not belong to this recommender, but to one with "
            f"another {', another '.join(differing)}. Use the folder as it was saved, or save the "
            "recommender again: save(path, include_vectors=True)"
        )
    rows = safetensors.torch.load_file(path)[ROWS]
    return rows if rows.data_ptr() % ALIGNMENT == 0 else rows.clone()


def _owners(path: Path) -> dict[str, str]:
    """Return the names and hashes of the files that the rows of a file belong to."""
    try:
        with safe_open(path, "pt") as file:
            found = json.loads((file.metadata() or {})[OWNERS])
        return {str(name): str(digest) for name, digest in found.items()}
    except (ValueError, KeyError, AttributeError, RecursionError):
        return {}
