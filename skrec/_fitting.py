"""What training begins with, read and checked, and what it leaves for the next time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from sklearn.utils import check_random_state

from skrec._catalogue import are_equal
from skrec._coded import CodedInteractions
from skrec._examples import Examples, make_examples, resolve_loss
from skrec._inputs import read_catalogue, resolve_device
from skrec._interactions import encode
from skrec._items import Items
from skrec._negatives import NegativeSampler
from skrec._operators import Operator
from skrec._parameters import (
    FAMILIES,
    check_parameters,
    check_precision,
    check_same_model,
    resolve_operator,
)
from skrec._processes import Processes, launched_processes
from skrec._row_values import read_user_ids
from skrec._rows import as_table


@dataclass(frozen=True)
class Start:
    """All that training begins with: read and checked, while nothing has changed yet.

    Attributes
    ----------
    operators : dict of str to operator
        Clones, by family.
    items : Items
        The catalogue; where training goes on, the one before with what was added.
    users : pyarrow.Array or None
        Ids of the known users, where the behavior operator reads them.
    data : CodedInteractions
    loss : str
    rng : numpy.random.Generator
        Fresh, from `random_state`; the same in all processes.
    device : torch.device
    processes : Processes
    """

    operators: dict[str, Operator]
    items: Items
    users: pa.Array | None
    data: CodedInteractions
    loss: str
    rng: np.random.Generator
    device: torch.device
    processes: Processes

    def examples(self, recommender: Any, data: CodedInteractions) -> Examples:
        """Return the clicks of `data` to learn, with their negatives."""
        r = recommender
        sampler = NegativeSampler(data, self.items.n_items, r.n_negatives, r.negative_sampling)
        return make_examples(data, self.loss, sampler, r.history_targets)


def read_start(
    recommender: Any, X: Any, y: Any, items: Any, sample_weight: Any, goes_on: bool
) -> Start:
    """Read and check what was given to `fit` or `partial_fit`.

    Parameters
    ----------
    recommender : ContentRecommender
    X, y, items, sample_weight
        As `fit` takes them; a catalogue in y's place has been moved to `items`.
    goes_on : bool
        Whether a fitted recommender is trained further.

    Returns
    -------
    Start
    """
    r = recommender
    check_parameters(r)
    processes = launched_processes(r.device)
    device = processes.device or resolve_device(r.device)
    check_precision(r.precision, device)
    operators = {name: resolve_operator(name, getattr(r, name), r.width) for name in FAMILIES}
    if goes_on:
        check_same_model(r, operators)
        items, users = _grown(r.items_, items), r.users_
    else:
        items = read_catalogue(items, r.unknown_items)
        reads_users = operators["behavior"].reads_users
        users = read_user_ids(as_table(X)) if reads_users else None
    data = encode(
        X,
        y,
        items=items,
        labels="required",
        drop_unknown="all" if r.unknown_items == "ignore" else "nothing",
        sample_weight=sample_weight,
        users=users,
    )
    if data.weight is not None:
        # a row of weight 0 is as good as absent
        data = data.take(np.flatnonzero(data.weight))
    seed = check_random_state(r.random_state).randint(2**31, size=4)
    rng = np.random.default_rng(processes.agree(seed))
    loss = resolve_loss(r.loss, data)
    return Start(operators, items, users, data, loss, rng, device, processes)


def _grown(known: Items, items: Any) -> Items:
    """Return the known catalogue with new and changed items, or itself if there are none."""
    if items is None:
        return known
    grown = known.extend(items)
    return known if are_equal(known, grown) else grown


def check_classes(classes: Any) -> None:
    """Raise unless `classes` is None or 0 and 1, as `partial_fit` of scikit-learn takes them."""
    if classes is not None and sorted(np.asarray(classes).ravel().tolist()) != [0, 1]:
        raise ValueError(f"classes must be [0, 1] (not clicked, clicked) or None, got {classes!r}")


@dataclass
class Progress:
    """Where training stands: what the next call needs to go on as if there had been no break.

    Attributes
    ----------
    rng : numpy.random.Generator
        Of shuffling and negatives.
    dropout : ndarray of uint8
        State of torch's generator on the CPU.
    moments : dict of str to dict of str to tensor
        The optimiser's state of each weight.
    """

    rng: np.random.Generator
    dropout: np.ndarray
    moments: dict[str, dict[str, torch.Tensor]]

    @classmethod
    def of(cls, trainer: Any) -> Progress:
        """Return where a trainer stands."""
        return cls(trainer.rng, torch.get_rng_state().numpy(), trainer.moments())

    def to_arrays(self) -> dict[str, Any]:
        """Return the same as plain values and arrays, for pickles."""
        moments = {
            name: {key: value.cpu().numpy() for key, value in state.items()}
            for name, state in self.moments.items()
        }
        rng = self.rng.bit_generator.state
        return {"rng": rng, "dropout": self.dropout, "moments": moments}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any]) -> Progress:
        """Return what `to_arrays` was called on."""
        rng = np.random.default_rng()
        rng.bit_generator.state = arrays["rng"]
        moments = {
            name: {key: torch.tensor(value) for key, value in state.items()}
            for name, state in arrays["moments"].items()
        }
        return cls(rng, arrays["dropout"], moments)


@contextmanager
def undone_on_failure(recommender: Any) -> Iterator[None]:
    """Put a recommender back as it was if the block fails or is interrupted.

    Yields
    ------
    None
    """
    attributes = dict(vars(recommender))
    network: Any = attributes.get("network_")
    before = {} if network is None else network.trained_state()
    weights = {name: weight.clone() for name, weight in before.items()}
    try:
        yield
    except BaseException:
        vars(recommender).clear()
        vars(recommender).update(attributes)
        if network is not None:
            network.load_trained_state(weights)
        raise
