"""Save a fitted recommender to a folder, and load it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import safetensors.torch
import torch
from safetensors import SafetensorError
from sklearn.utils.validation import check_is_fitted

from skrec._common.locks import shallow_copy
from skrec._common.version import __version__
from skrec._saving.codec import Codec, Damaged
from skrec._saving.folder import (
    check_files,
    read_contents,
    read_json,
    while_replaced,
    write_folder,
)
from skrec._saving.item_vectors import ABOUT, read_rows, write_rows
from skrec._saving.kinds import check_trusted, kinds
from skrec._saving.weights import check_finite

Check = Callable[[dict[str, Any]], dict[str, Any]]
FORMAT = 1
# attributes with callbacks, which belong to a process and not to the model
CALLBACKS = ("_skl_callbacks", "_parent_callback", "_callback")
# errors of reading a damaged folder, except ValueError, which is raised unchanged
READ_ERRORS = (
    *(ArithmeticError, AttributeError, LookupError, RecursionError, RuntimeError, TypeError),
    *(SafetensorError, pa.ArrowException),
)
STATE, ARRAYS = "recommender.json", "arrays.safetensors"
README = """# A recommender

{recommender!r}

{n_items} items with the columns {columns}{trained}. Saved by skrec {skrec}.

```python
import skrec

rec = skrec.load("{name}")
ids, scores = rec.recommend(histories, k=10)
```

`recommender.json` contains parameters and vocabularies, `arrays.safetensors` weights, `*.parquet`
the catalogue and remembered histories of users, `item_vectors.safetensors`, if it is there, vectors
of the catalogue, and `skrec.json` versions and checksums. The folder contains no code.
"""


def save(
    recommender: Any,
    kind: type,
    path: Any,
    *,
    include_base: bool = False,
    include_vectors: bool = False,
    check: Check = dict,
) -> None:
    """Save a fitted recommender to a folder.

    Parameters
    ----------
    recommender : ContentRecommender or baseline
        A fitted recommender.
    kind : type
        Class of the recommender. Subclasses are refused.
    path : str or path-like
        The folder.
    include_base : bool, default=False
        Whether to write the weights of pretrained language models.
    include_vectors : bool, default=False
        Whether to write the item rows.
    check : callable, default=dict
        Function of the state of the recommender that raises an error if `load` would refuse it.

    Raises
    ------
    TypeError
        If the recommender is a subclass of `kind`, or contains a value that can't be saved.
    ValueError
        If a parameter is invalid, or weights are not finite.
    FileExistsError
        If `path` exists and is neither empty nor a saved recommender.
    """
    check_is_fitted(recommender, "items_")
    if type(recommender) is not kind:
        raise TypeError(
            f"save can hold a {kind.__name__}, not its subclass {type(recommender).__name__}; "
            "pickle it, for readers who trust where the pickle comes from"
        )
    recommender = shallow_copy(recommender)  # rows and weights must be those of one model
    rows = recommender._rows() if include_vectors else None
    state: Any = recommender.__getstate__()
    state = {name: value for name, value in state.items() if not name.startswith(CALLBACKS)}
    check_finite(state)
    fill = partial(_fill, recommender, state, check, Path(path).name, include_base, rows)
    write_folder(Path(path), fill)


def _fill(
    recommender: Any,
    state: dict[str, Any],
    check: Check,
    name: str,
    include_base: bool,
    rows: torch.Tensor | None,
    folder: Path,
) -> dict[str, Any]:
    """Write the files of a recommender to a folder, and return a description of them."""
    codec = Codec(kinds(), folder, include_base)
    encoded = codec.encode_state(state)
    check(state)
    (folder / STATE).write_text(json.dumps(encoded, allow_nan=False), encoding="utf-8")
    safetensors.torch.save_file(codec.arrays, folder / ARRAYS)
    if rows is not None:
        write_rows(folder, rows)
    versions = {package: version(package) for package in ("torch", "scikit-learn", "transformers")}
    n_epochs = getattr(recommender, "n_epochs_", None)
    text = README.format(
        recommender=recommender,
        n_items=recommender.items_.n_items,
        columns=", ".join(recommender.items_.roles),
        trained="" if n_epochs is None else f"; trained for {n_epochs} epochs",
        skrec=__version__,
        name=name,
    )
    (folder / ABOUT).write_text(text, encoding="utf-8")
    kind = type(recommender).__name__
    return {"format": FORMAT, "class": kind, "versions": {"skrec": __version__, **versions}}


def load(
    kind: type,
    path: Any,
    *,
    device: Any = None,
    trusted: Iterable[Any] = (),
    check: Check = dict,
    others: Mapping[str, tuple[type, Check]] | None = None,
) -> Any:
    """Load a recommender from a folder.

    Parameters
    ----------
    kind : type
        Class of the recommender, if the folder does not name one of `others`.
    path : str or path-like
        The folder.
    device : str or torch.device, default=None
        Device of the recommender. None means the device that it was saved with.
    trusted : iterable of type or str, default=()
        Classes, and names of classes of skops, that may be built in addition to those of skrec.
    check : callable, default=dict
        Function of the state of the recommender that raises an error if it is invalid, and
        otherwise returns the state to use.
    others : dict of str to (type, callable), default=None
        Other classes by name, with their `check`.

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
    trusted = check_trusted(trusted)
    path = Path(path).expanduser().absolute()
    classes = {kind.__name__: (kind, check), **(others or {})}
    return while_replaced(path, lambda folder: _load(classes, kind, folder, device, trusted))


def _load(
    classes: Mapping[str, tuple[type, Check]],
    default: type,
    folder: Path,
    device: Any,
    trusted: tuple[Any, ...],
) -> Any:
    """Load a recommender from a folder that is not replaced meanwhile."""
    about = read_contents(folder)
    if about.get("format") != FORMAT:
        raise ValueError(
            f"'{folder}' has format {about.get('format')} and was saved by skrec "
            f"{about.get('versions', {}).get('skrec')}; this is skrec {__version__}, which reads "
            f"format {FORMAT}"
        )
    check_files(folder, about)
    name = about.get("class", default.__name__)  # folders of 0.1.0.dev0 do not name it
    if not isinstance(name, str) or name not in classes:
        raise Damaged(f"'{folder}' holds a recommender of the unknown class {name!r}")
    kind, check = classes[name]
    codec = Codec(kinds(), folder, trusted=trusted)
    recommender: Any = object.__new__(kind)
    try:
        codec.arrays = safetensors.torch.load_file(folder / ARRAYS)
        encoded = read_json(folder / STATE)
        state = {key: codec.decode(value) for key, value in encoded.items()}
        check_finite(state)
        state = _checked(folder, check, state)
        given = {} if device is None or "device" not in state else {"device": device}
        recommender.__setstate__(state | given)
        check_is_fitted(recommender, "items_")
        rows = read_rows(folder, about["files"])
        if rows is not None:
            recommender._use_rows(rows)
    except READ_ERRORS as error:
        raise Damaged(f"'{folder}' does not hold what save writes: {error!r}") from error
    return recommender


def _checked(folder: Path, check: Check, state: dict[str, Any]) -> dict[str, Any]:
    """Return the checked state; errors name the folder."""
    try:
        return check(state)
    except (ValueError, TypeError) as error:
        raise Damaged(f"'{folder}' does not hold what save writes: {error}") from error
