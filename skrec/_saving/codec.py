"""Conversion of Python values to JSON, with arrays, tables and tokenizers in separate files.

A value that JSON lacks becomes an object with the key ``"!"``, which contains its kind::

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
    """Error for a folder that is not a saved recommender, or was changed after it was saved."""


@dataclass(frozen=True)
class Kind:
    """A kind of values, with functions that write and read them.

    Parameters
    ----------
    name : str
        Name of the kind in the JSON.
    types : tuple of type
        Types of the values.
    write : callable
        Function of a codec, a value and its location, such as ``"content_.vocabulary_"``. It
        returns a dict that JSON can represent.
    read : callable
        Function of a codec and that dict, which returns the value.
    """

    name: str
    types: tuple[type, ...]
    write: Callable[[Codec, Any, str], dict[str, Any]]
    read: Callable[[Codec, dict[str, Any]], Any]


@dataclass
class Codec:
    """Conversion of values to JSON and back.

    Parameters
    ----------
    kinds : list of Kind
        Kinds of values. The first kind with the type of a value is used for it.
    folder : Path
        Folder of the files.
    include_base : bool, default=False
        Whether to write the weights of pretrained language models.
    trusted : tuple, default=()
        Classes, and names of classes of skops, that may be built in addition to those of skrec.
    arrays : dict of str to tensor
        Arrays by their location in the recommender.
    bases : dict of object to str
        Folders of the language models that were written, by the name or id of the model.
    n_files : int, default=0
        Number of files and folders that `new_file` named.
    """

    kinds: list[Kind]
    folder: Path
    include_base: bool = False
    trusted: tuple[Any, ...] = ()
    arrays: dict[str, torch.Tensor] = field(default_factory=dict)
    bases: dict[Any, str] = field(default_factory=dict)
    n_files: int = 0

    def encode(self, value: Any, at: str) -> Any:
        """Convert a value to one that JSON can represent.

        Parameters
        ----------
        value : object
            The value.
        at : str
            Location of the value in the recommender, for names of arrays and error messages.

        Returns
        -------
        object

        Raises
        ------
        TypeError
            If no kind has the type of the value.
        """
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
        """Encode attributes, fitted ones first, since they contain a language model's revision."""
        names = sorted(state, key=lambda name: not name.endswith("_"))
        return {name: self.encode(state[name], at + name) for name in names}

    def decode(self, value: Any) -> Any:
        """Convert the result of `encode` back to the value.

        Parameters
        ----------
        value : object
            Result of `encode`.

        Returns
        -------
        object

        Raises
        ------
        Damaged
            If the value has an unknown kind.
        """
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
        """Return a unique name for a file or folder, such as ``"items-1.parquet"``."""
        stem, dot, ending = name.partition(".")
        self.n_files += 1
        return f"{stem}-{self.n_files}{dot}{ending}"

    def path(self, name: Any) -> Path:
        """Return the path of a file or folder that the JSON names, if it is inside the folder."""
        if not isinstance(name, str) or Path(name).name != name or name == "..":
            raise Damaged(f"recommender.json names a file outside of the folder: {name!r}")
        return self.folder / name
