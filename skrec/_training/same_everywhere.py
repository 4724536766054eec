"""Comparison of what the processes of one training begin with, which must be the same in all."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from skrec._data.coded import CodedInteractions
from skrec._data.items import Items
from skrec._data.packed import Packed
from skrec._inference.scores import item_rows
from skrec._network import Network
from skrec._training.processes import Processes

# may differ: process 0 chooses the seed, and the others do not change the model
OWN = {"random_state", "device", "memory", "verbose", "processes"}
WHAT_TO_DO = (
    "Each process must pass all rows, the same catalogue and the same parameters: skrec shares "
    "the rows of each step out. For more rows, take Interactions.from_shards. To train an own "
    "model in each process, take processes=None"
)
N_COMPARED = 64  # items whose vectors are compared
LONGEST = 60  # characters of a value that a message shows


def check_same(processes: Processes, own: Mapping[str, str]) -> None:
    """Raise the same ValueError in all processes unless all of them have the same values.

    Parameters
    ----------
    processes : Processes
    own : dict of str to str
        Values of this process, by their names.

    Raises
    ------
    ValueError
        If a value differs. The message names it and shows it for process 0 and another one.
    """
    everywhere = processes.gathered(lambda: dict(own), "the start of training")
    for rank, other in enumerate(everywhere):
        shown = differences(everywhere[0], other, "in process 0", f"in process {rank}")
        if shown:
            raise ValueError(f"the processes of this training differ: {shown}. {WHAT_TO_DO}")


def differences(first: dict[str, str], other: dict[str, str], here: str, there: str) -> str:
    """Return which values of two descriptions differ, and where; "" if none does."""
    return "; ".join(
        f"{name} {_short(first.get(name, 'nothing'))} {here}, but "
        f"{_short(other.get(name, 'nothing'))} {there}"
        for name in first | other
        if other.get(name) != first.get(name)
    )


def describe_inputs(
    parameters: Mapping[str, Any],
    rows: str,
    items: Items,
    users: pa.Array | None,
) -> dict[str, str]:
    """Return a text for each input of training. Equal inputs have equal texts in all processes.

    Parameters
    ----------
    parameters : dict of str to object
        Parameters of the recommender, with operators.
    rows : str
        A text for the rows; see `describe_rows`.
    items : Items
        The catalogue.
    users : pyarrow.Array or None
        Ids of the known users.

    Returns
    -------
    dict of str to str
    """
    return {
        **{f"{name} =": _describe(parameters[name]) for name in parameters if name not in OWN},
        "rows:": rows,
        "catalogue:": f"{items.n_items} items ({_hash_of_items(items)})",
        "users:": "none" if users is None else f"{len(users)} ({hash_of(_as_numpy(users))})",
    }


def describe_rows(data: CodedInteractions) -> str:
    """Return a text for rows, which contains a hash of them."""
    return f"{data.n_rows} {data.kind} ({hash_of_rows(data)})"


def describe_model(recommender: Any, resuming: bool) -> str:
    """Return a text for the model that is trained further, or for a new one."""
    if not resuming:
        return "a new one"
    state = recommender._training_state
    epochs = f"{recommender.n_epochs_} epochs"
    return epochs if state is None else f"{epochs} ({hash_of(repr(state.rng.bit_generator.state))})"


def check_same_network(processes: Processes, network: Network, packed: Packed) -> None:
    """Raise the same ValueError in all processes unless they prepared the same items.

    The vectors of some items are compared, because everything contributes to them that is read from
    the catalogue or from files. Then all processes take the weights of process 0, whose last bits
    may differ on other machines.

    Parameters
    ----------
    processes : Processes
    network : Network
        The network before training, in evaluation mode.
    packed : Packed
        The prepared catalogue.

    Raises
    ------
    ValueError
        If the item vectors differ by more than rounding.
    """
    if processes.n == 1:
        return

    vectors = partial(first_vectors, network, packed)
    first, *others = processes.gathered(vectors, "the first item vectors")
    for rank, other in enumerate(others, start=1):
        if not vectors_are_equal(first, other):
            raise ValueError(
                f"processes 0 and {rank} of this training prepared the items differently. Give "
                "transformers of item columns an int as random_state, and the same files to all "
                "processes"
            )
    processes.copy_first(network)


def first_vectors(network: Network, packed: Packed) -> np.ndarray:
    """Return the vectors (at most `N_COMPARED`, D) of items at equal distances."""
    codes = np.unique(np.linspace(0, len(packed) - 1, N_COMPARED).astype(np.int64))
    return item_rows(network, packed, codes).double().cpu().numpy()


def vectors_are_equal(first: np.ndarray, other: np.ndarray) -> bool:
    """Whether vectors differ by no more than rounding."""
    scale = np.abs(first).max(initial=0.0)
    return first.shape == other.shape and np.allclose(
        first, other, rtol=1e-2, atol=1e-2 * scale, equal_nan=True
    )


def _describe(value: Any) -> str:
    """Return a text for a parameter, without addresses in memory."""
    if hasattr(value, "get_params") and not isinstance(value, type):
        inner = ", ".join(f"{k}={_describe(v)}" for k, v in value.get_params(deep=False).items())
        return f"{type(value).__name__}({inner})"
    if isinstance(value, torch.nn.Module):
        shapes = [tuple(weight.shape) for weight in value.parameters()]
        return f"{type(value).__name__} ({hash_of(repr(shapes))})"
    if isinstance(value, np.ndarray):
        return f"array of shape {value.shape} ({joblib.hash(value)[:8]})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k!r}: {_describe(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_describe, value)) + "]"
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _short(text: str) -> str:
    """Return a text, with a hash in place of its end if it is long."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({hash_of(text)})"


def hash_of(*values: Any) -> str:
    """Return a short hash of arrays and texts."""
    total = hashlib.blake2b(digest_size=4)
    for value in values:
        if isinstance(value, np.ndarray):
            total.update(f"{value.dtype}{value.shape}".encode())
            value = np.ascontiguousarray(value).view(np.uint8)
        total.update(value.encode() if isinstance(value, str) else value.data)
    return total.hexdigest()


def hash_of_rows(data: CodedInteractions) -> str:
    """Return a short hash of all codes, labels, groups, times and weights."""
    return hash_of(*(repr(v) if v is None else v for v in vars(data).values()))


def _hash_of_items(items: Items) -> str:
    """Return a short hash of the ids and the content of items."""
    return hash_of(repr(items.roles), pd.util.hash_array(_as_numpy(items.ids)), items.hashes())


def _as_numpy(values: Any) -> np.ndarray:
    """Return ids as an array of ints, or of their hashes."""
    array = values.to_numpy(zero_copy_only=False) if hasattr(values, "to_pylist") else values
    return pd.util.hash_array(array) if array.dtype == object else np.asarray(array)
