"""Save a fitted recommender to a folder, and load it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from sklearn.utils.validation import check_is_fitted

from skrec._common.version import __version__
from skrec._saving.codec import Codec, Damaged
from skrec._saving.folder import check_files, find_folder, read_contents, write_folder
from skrec._saving.kinds import kinds

FORMAT = 1
# errors of reading a damaged folder, except ValueError, which is raised unchanged
READ_ERRORS = (AttributeError, KeyError, RecursionError, RuntimeError, TypeError, SafetensorError)
STATE, ARRAYS, ABOUT = "recommender.json", "arrays.safetensors", "README.md"
README = """# A recommender

{recommender!r}

{n_items} items with the columns {columns}; trained for {n_epochs} epochs. Saved by skrec {skrec}.

```python
import skrec

rec = skrec.load("{name}")
ids, scores = rec.recommend(histories, k=10)
```

`recommender.json` contains parameters and vocabularies, `arrays.safetensors` weights, `*.parquet`
the catalogue, and `skrec.json` versions and checksums. The folder contains no code.
"""


def save(recommender: Any, kind: type, path: Any, *, include_base: bool = False) -> None:
    """Save a fitted recommender to a folder.

    Parameters
    ----------
    recommender : ContentRecommender
        A fitted recommender.
    kind : type
        Class of the recommender. Subclasses are refused.
    path : str or path-like
        The folder.
    include_base : bool, default=False
        Whether to write the weights of pretrained language models.

    Raises
    ------
    TypeError
        If the recommender is a subclass of `kind`, or contains a value that can't be saved.
    FileExistsError
        If `path` exists and is neither empty nor a saved recommender.
    """
    check_is_fitted(recommender, "network_")
    if type(recommender) is not kind:
        raise TypeError(
            f"save can hold a {kind.__name__}, not its subclass {type(recommender).__name__}; "
            "pickle it, for readers who trust where the pickle comes from"
        )
    write_folder(Path(path), partial(_fill, recommender, Path(path).name, include_base))


def _fill(recommender: Any, name: str, include_base: bool, folder: Path) -> dict[str, Any]:
    """Write the files of a recommender to a folder, and return a description of them."""
    codec = Codec(kinds(), folder, include_base)
    state = codec.encode_state(recommender.__getstate__())
    (folder / STATE).write_text(json.dumps(state, allow_nan=False), encoding="utf-8")
    safetensors.torch.save_file(codec.arrays, folder / ARRAYS)
    versions = {package: version(package) for package in ("torch", "scikit-learn", "transformers")}
    text = README.format(
        recommender=recommender,
        n_items=recommender.items_.n_items,
        columns=", ".join(recommender.items_.roles),
        n_epochs=recommender.n_epochs_,
        skrec=__version__,
        name=name,
    )
    (folder / ABOUT).write_text(text, encoding="utf-8")
    return {"format": FORMAT, "versions": {"skrec": __version__, **versions}}


def load(kind: type, path: Any, *, device: Any = None, trusted: Iterable[Any] = ()) -> Any:
    """Load a recommender from a folder.

    Parameters
    ----------
    kind : type
        Class of the recommender.
    path : str or path-like
        The folder.
    device : str or torch.device, default=None
        Device of the recommender. None means the device that it was saved with.
    trusted : iterable of type or str, default=()
        Classes, and names of classes of skops, that may be built in addition to those of skrec.

    Returns
    -------
    recommender

    Raises
    ------
    FileNotFoundError
        If there is no folder.
    ValueError
        If the folder is damaged, has another format, or contains a class that is not trusted.
    """
    folder = find_folder(Path(path))
    about = read_contents(folder)
    if about.get("format") != FORMAT:
        raise ValueError(
            f"'{folder}' has format {about.get('format')} and was saved by skrec "
            f"{about.get('versions', {}).get('skrec')}; this is skrec {__version__}, which reads "
            f"format {FORMAT}"
        )
    check_files(folder, about)
    codec = Codec(kinds(), folder, trusted=tuple(trusted))
    recommender: Any = object.__new__(kind)
    try:
        codec.arrays = safetensors.torch.load_file(folder / ARRAYS)
        encoded = json.loads((folder / STATE).read_text(encoding="utf-8"))
        state = {key: codec.decode(value) for key, value in encoded.items()}
        recommender.__setstate__(state | ({} if device is None else {"device": device}))
        check_is_fitted(recommender, "network_")
    except READ_ERRORS as error:
        raise Damaged(f"'{folder}' does not hold what save writes: {error!r}") from error
    return recommender
