"""Saving a fitted recommender to a folder, and loading it."""

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

from skrec._recommender import ContentRecommender
from skrec._saving._codec import Codec, Damaged
from skrec._saving._folder import check_files, find_folder, read_contents, write_folder
from skrec._saving._kinds import kinds
from skrec._version import __version__

FORMAT = 1
# what reading nonsense raises, beside ValueError
WRONG = (AttributeError, KeyError, RecursionError, RuntimeError, TypeError, SafetensorError)
STATE, ARRAYS, ABOUT = "recommender.json", "arrays.safetensors", "README.md"
README = """# A recommender

{recommender!r}

{n_items} items with the columns {columns}; trained for {n_epochs} epochs. Saved by skrec {skrec}.

```python
import skrec

rec = skrec.load("{name}")
ids, scores = rec.recommend(histories, k=10)
```

`recommender.json` holds parameters and vocabularies, `arrays.safetensors` the weights, `*.parquet`
the catalogue, `skrec.json` versions and checksums. Nothing in here is code.
"""


def save(recommender: Any, path: Any, *, include_base: bool = False) -> None:
    """Save a fitted recommender; see `ContentRecommender.save`."""
    check_is_fitted(recommender, "network_")
    if type(recommender) is not ContentRecommender:
        raise TypeError(
            f"save can hold a ContentRecommender, not its subclass {type(recommender).__name__}; "
            "pickle it, for readers who trust where the pickle comes from"
        )
    write_folder(Path(path), partial(_fill, recommender, Path(path).name, include_base))


def _fill(
    recommender: ContentRecommender, name: str, include_base: bool, folder: Path
) -> dict[str, Any]:
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


def load(path: Any, *, device: Any = None, trusted: Iterable[Any] = ()) -> ContentRecommender:
    """Load a recommender that `ContentRecommender.save` wrote.

    Nothing is unpickled, and no code from the folder is run: only skrec's own classes are built,
    from JSON, safetensors and parquet files whose checksums are right. A language model that was
    saved by name is loaded by that name, and refused if it has changed.

    Parameters
    ----------
    path : str or Path
        The folder.
    device : str or torch.device, default=None
        Where to compute; None takes the device that the recommender was made for, and the CPU,
        with a warning, where that is not there.
    trusted : iterable of classes and str, default=()
        What else may be built: classes of operators of your own, names of types for skops (an
        error lists them), and ``"trust_remote_code"`` for language models that come with code.

    Returns
    -------
    ContentRecommender

    Raises
    ------
    FileNotFoundError
        Where there is no such folder.
    ValueError
        For a folder that is damaged, was changed, is of a newer version, or holds classes that
        are not trusted.

    See Also
    --------
    ContentRecommender.save : Writes the folder.

    Examples
    --------
    >>> import skrec
    >>> rec = skrec.load("news-recommender")  # doctest: +SKIP
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
    recommender = ContentRecommender.__new__(ContentRecommender)
    try:
        codec.arrays = safetensors.torch.load_file(folder / ARRAYS)
        encoded = json.loads((folder / STATE).read_text(encoding="utf-8"))
        state = {key: codec.decode(value) for key, value in encoded.items()}
        recommender.__setstate__(state | ({} if device is None else {"device": device}))
        check_is_fitted(recommender, "network_")
    except WRONG as error:
        raise Damaged(f"'{folder}' does not hold what save writes: {error!r}") from error
    return recommender
