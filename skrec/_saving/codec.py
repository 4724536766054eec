"""Python values as JSON, with arrays, tables and tokenizers in files beside it.

What JSON lacks is an object with the key ``"!"``, which names its kind::

    (1, 2)  ->  {"!": "tuple", "values": [1, 2]}
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from skrec._saving.registry import name_of

TAG = "!"


class Damaged(ValueError):
    """A folder does not hold what `save` writes."""


@dataclass(frozen=True)
class Kind:
    """How values of some types are written, and read again.

    `write` takes a codec, the value, and where it was found; `read` a codec and what `write`
    returned.
    """

    name: str
    types: tuple[type, ...]
    write: Callable[[Codec, Any, str], dict[str, Any]]
    read: Callable[[Codec, dict[str, Any]], Any]


@dataclass
class Codec:
    """Turns values into what JSON can hold, and back.

    Parameters
    ----------
    kinds : list of Kind
        The first whose types fit is taken.
    folder : Path
        Where files beside the JSON are.
    include_base : bool, default=False
        Whether the weights of pretrained language models are written, too.
    trusted : tuple, default=()
        Classes, and names of classes for skops, that may be built beside our own.
    arrays : dict of str to tensor
        Arrays by where they were.
    """

    kinds: list[Kind]
    folder: Path
    include_base: bool = False
    trusted: tuple[Any, ...] = ()
    arrays: dict[str, torch.Tensor] = field(default_factory=dict)
    bases: dict[Any, str] = field(default_factory=dict)
    n_files: int = 0

    def encode(self, value: Any, at: str) -> Any:
        """Return `value`, found at `at`, as what JSON can hold."""
        kind = type(value)
        if value is None or kind in (bool, int, str) or (kind is float and math.isfinite(value)):
            return value
        if kind is list:
            return [self.encode(each, f"{at}[{i}]") for i, each in enumerate(value)]
        if kind is tuple:
            return {TAG: "tuple", "values": self.encode(list(value), at)}
        if kind is dict:
            keys = self.encode(list(value), f"{at}.keys")
            values = [self.encode(each, f"{at}.{key}") for key, each in value.items()]
            return {TAG: "dict", "keys": keys, "values": values}
        for each in self.kinds:
            if isinstance(value, each.types):
                return {TAG: each.name, **each.write(self, value, at)}
        raise TypeError(
            f"save can't hold {at}, of type {name_of(kind)}; a pickle can, for readers who trust "
            "where it comes from"
        )

    def encode_state(self, state: dict[str, Any], at: str = "") -> dict[str, Any]:
        """Encode attributes, fitted ones first: of a language model, they know the revision."""
        names = sorted(state, key=lambda name: not name.endswith("_"))
        return {name: self.encode(state[name], at + name) for name in names}

    def decode(self, value: Any) -> Any:
        """Return what `encode` was given."""
        if isinstance(value, list):
            return [self.decode(each) for each in value]
        if not isinstance(value, dict):
            return value
        name = value.get(TAG)
        if name == "tuple":
            return tuple(self.decode(value["values"]))
        if name == "dict":
            keys, values = self.decode(value["keys"]), self.decode(value["values"])
            return dict(zip(keys, values, strict=True))
        for each in self.kinds:
            if each.name == name:
                return each.read(self, value)
        raise Damaged(f"recommender.json holds a value of the unknown kind {name!r}")

    def new_file(self, name: str) -> str:
        """Return a name for a file or folder that no other has."""
        stem, dot, ending = name.partition(".")
        self.n_files += 1
        return f"{stem}-{self.n_files}{dot}{ending}"

    def path(self, name: Any) -> Path:
        """Return the path of a file or folder that the JSON names."""
        if not isinstance(name, str) or Path(name).name != name or name == "..":
            raise Damaged(f"recommender.json names a file outside of the folder: {name!r}")
        return self.folder / name
