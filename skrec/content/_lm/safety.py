"""Checks of a pretrained model's files, which may come from anywhere, before they are loaded.

transformers opens files with pickles, and fetches code from a hub, if settings ask for it. Models
with such settings are refused, unless the user trusts the code that comes with a model.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from skrec.content._lm.sources import Source

INDEX = "model.safetensors.index.json"
MAX_INDEX = 64 << 20  # bytes
# implementations of attention that are part of transformers and torch
PLAIN = (None, "eager", "sdpa")
# settings that may name code on a hub, which is fetched and run
KERNELS = ("attn_implementation", "experts_implementation")


def check_files(source: Source) -> None:
    """Raise an error if a model's weights are pickles, or if a file may not be read.

    Parameters
    ----------
    source : Source
        A model in a folder or on the hub.

    Raises
    ------
    ValueError
        If settings or an index name weights in another format than safetensors, or a file outside
        of the folder.
    PermissionError
        If a file may not be read.
    """
    named = str(source.config.get("transformers_weights") or "")
    if named and not (_is_safetensors(named) or _is_index(named)):
        raise ValueError(_not_safetensors(source.name, "config.json", named))
    if os.path.isdir(source.location):
        for path in sorted(Path(source.location).iterdir()):
            if path.is_file():
                with path.open("rb"):
                    pass  # raises an error if it may not be read
    for index in {INDEX, named if _is_index(named) else INDEX}:
        found = find_file(source, index)
        for file in _files_in(source, found) if found else ():
            if not _is_safetensors(file):
                raise ValueError(_not_safetensors(source.name, index, file))


def attention_options(source: Source) -> dict[str, Any]:
    """Return options of from_pretrained that replace an implementation of attention by a plain one.

    Raises
    ------
    ValueError
        If the setting can't be replaced, because it is nested or a private one.
    """
    for key, value in _settings(source.config):
        if any(kind in key for kind in KERNELS) and key not in KERNELS:
            # transformers ignores the "internal" ones
            if not key.endswith("_internal") and not _is_plain(value):
                raise ValueError(_fetches_code(source.name, key, value))
    options: dict[str, Any] = {}
    for key, value in source.config.items():
        if key in KERNELS and not _is_plain(value):
            if key != "attn_implementation":
                raise ValueError(_fetches_code(source.name, key, value))
            options[key] = None
    for key, value in _settings(list(source.config.values())):
        if key in KERNELS and not _is_plain(value):
            raise ValueError(_fetches_code(source.name, key, value))
    return options


def _is_plain(value: Any) -> bool:
    return value in PLAIN if isinstance(value, str | None) else False


def _settings(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield all settings, nested ones included."""
    nested = [value]
    while nested:
        value = nested.pop()
        if isinstance(value, dict):
            yield from value.items()
        if isinstance(value, dict | list):
            nested += value.values() if isinstance(value, dict) else value


def find_file(source: Source, name: str) -> Path | None:
    """Return the path of a file of a model, or None if there is no such file."""
    if os.path.isdir(source.location):
        path = Path(source.location) / name
        return path if path.is_file() else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    with suppress(EntryNotFoundError):  # a file that is neither cached nor reachable is one, too
        place: dict[str, Any] = {"revision": source.commit, "subfolder": source.subfolder or None}
        return Path(hf_hub_download(source.location, name, **place))
    return None


def _files_in(source: Source, index: Path) -> list[str]:
    """Return the names of the files in an index of weights."""
    try:
        if index.stat().st_size > MAX_INDEX:
            raise ValueError(f"more than {MAX_INDEX:,} bytes")
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"model={source.name!r} has a damaged {index.name}: {error!r}") from error


def _is_safetensors(name: Any) -> bool:
    plain = isinstance(name, str) and not {"/", "\\"} & set(name)
    return plain and name.endswith(".safetensors")


def _is_index(name: str) -> bool:
    return name.endswith(".safetensors.index.json") and not {"/", "\\"} & set(name)


def _not_safetensors(model: str, where: str, file: Any) -> str:
    return (
        f"model={model!r} names its weights {file!r} in {where}; only files in the safetensors "
        "format next to it are opened, as others may run any code"
    )


def _fetches_code(model: str, key: str, value: Any) -> str:
    return (
        f"model={model!r} has {key}={value!r} in config.json, which may make transformers fetch "
        "and run code from a hub; remove it from the file, or take 'sdpa' or 'eager'"
    )
