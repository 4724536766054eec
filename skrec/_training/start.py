"""Validation of the inputs of `fit` and `partial_fit`, before anything changes."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, wraps
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import numpy as np
import pyarrow as pa
import torch
from sklearn.utils import check_random_state

from skrec._common.messages import preview
from skrec._data.co_clicks import count_clicks
from skrec._data.coded import CodedInteractions
from skrec._data.context import ContextFeatures, fit_context
from skrec._data.context_columns import warn_unread
from skrec._data.encode import encode
from skrec._data.hints import hint_for_index
from skrec._data.item_table import is_indexed_by
from skrec._data.items import Items, ids_of
from skrec._data.rows import as_table, kind_of, read_user_ids, warn_misspelled_columns
from skrec._data.shards import ShardedInteractions
from skrec._data.table import Table, is_table
from skrec._inference.prior import Prior
from skrec._inference.removed import after_return
from skrec._training.checkpoint import Checkpoint
from skrec._training.defaults import AUTO, choose_numbers, choose_operators
from skrec._training.examples import make_examples, resolve_loss
from skrec._training.holdout import hold_out
from skrec._training.negatives import NegativeSampler
from skrec._training.parameters import (
    FAMILIES,
    USERS_OF_SHARDS,
    asked_of_shards,
    check_combination,
    check_context_field,
    check_parameters,
    check_precision,
    resolve_operator,
)
from skrec._training.prior import starting_prior
from skrec._training.processes import ONE_PROCESS, Processes, resolve_device
from skrec._training.same_everywhere import (
    check_same,
    describe_inputs,
    describe_model,
    describe_rows,
)
from skrec._training.same_model import check_same_model
from skrec._training.streamed_rows import StreamedExamples, StreamedRows, survey

Method = TypeVar("Method", bound=Callable[..., Any])
NO_CATALOGUE = (
    "fit needs the catalogue of items: rec.fit(histories, items), or items=Items(df) in a search "
    "or pipeline, where df is a DataFrame with a column 'item_id' and the items' content"
)


@dataclass(frozen=True)
class FitInputs:
    """Validated inputs of `fit` and `partial_fit`.

    Attributes
    ----------
    operators : dict of str to operator
        Clones of the operators, by family.
    items : Items
        The catalogue. When training is resumed, the known catalogue with the new items.
    users : pyarrow.Array or None
        Ids of the known users, if the behavior operator has user vectors.
    context : ContextFeatures or None
        Fitted transformer of the context columns.
    data : CodedInteractions or StreamedRows
        Rows of X with a positive weight. Streamed rows are read from files in each epoch.
    loss : str
    rng : numpy.random.Generator
        New generator, seeded by `random_state`; equal in all processes.
    device : torch.device
    processes : Processes
    parameters : SimpleNamespace
        Parameters of the recommender, with those that were chosen in place of "auto".
    chosen : dict of str to object
        The parameters that were chosen.
    removed : ndarray of ids
        Ids of the removed items that are not passed again.
    """

    operators: dict[str, Any]
    items: Items
    users: pa.Array | None
    context: ContextFeatures | None
    data: Any
    loss: str
    rng: np.random.Generator
    device: torch.device
    processes: Processes
    parameters: Any
    chosen: dict[str, Any]
    removed: np.ndarray

    def starting_prior(self, data: CodedInteractions | StreamedRows) -> Prior | None:
        """Return the prior with which training on some rows starts; None if there is none."""
        if data.kind != "histories" or not self.parameters.co_clicks:
            return None
        assert isinstance(data, CodedInteractions)
        return starting_prior(data, self.items.n_items)

    def hold_out(self, fraction: float) -> tuple[Any, CodedInteractions | None]:
        """Return the rows to train on, and the held-out rows; see `hold_out`."""
        if isinstance(self.data, StreamedRows):
            return self.data.hold_out(fraction, self.rng)
        return hold_out(self.data, fraction, self.rng)

    def n_clicks(self) -> np.ndarray:
        """Return the number of clicks on each item in all rows; see `count_clicks`."""
        if isinstance(self.data, StreamedRows):
            return self.data.totals.clicks
        return count_clicks(self.data, self.items.n_items)

    def examples(self, data: CodedInteractions | StreamedRows, prior: Prior | None) -> Any:
        """Return the training examples of some rows, whose scores contain a prior."""
        p, is_streamed = self.parameters, isinstance(data, StreamedRows)
        log_popularity = None if prior is None else prior.log_popularity
        sampler = NegativeSampler(
            data.totals.counts if isinstance(data, StreamedRows) else data,
            self.items.n_items,
            p.n_negatives,
            p.negative_sampling,
            log_popularity,
            p.n_hard_negatives,
        )
        make = partial(
            make_examples,
            loss=self.loss,
            sampler=sampler,
            history_targets=p.history_targets,
            max_history=p.max_history,
            one_pass=self.operators["behavior"].causal,
            is_part=is_streamed,
        )
        if isinstance(data, StreamedRows):
            return StreamedExamples(data, make, sampler, self.loss)
        return make(data)


def _encode_weighted(
    table: Table,
    y: Any,
    items: Items,
    drop_unknown: str,
    sample_weight: Any,
    users: Any,
    context: Any,
) -> CodedInteractions:
    """Encode training rows, without those whose weight is 0; see `encode`."""
    data = encode(
        table,
        y,
        items=items,
        labels="required",
        drop_unknown=drop_unknown,
        sample_weight=sample_weight,
        users=users,
        context=context,
    )
    return data if data.weight is None else data.take(np.flatnonzero(data.weight))


def read_inputs(
    recommender: Any,
    X: Any,
    y: Any,
    items: Any,
    sample_weight: Any,
    resuming: bool,
    processes: Processes = ONE_PROCESS,
    method: str = "fit",
    checkpoint: Checkpoint | None = None,
) -> FitInputs:
    """Validate the parameters of a recommender and encode its training data.

    Several processes compare their inputs, which must be the same.

    Parameters
    ----------
    recommender : ContentRecommender
    X, y, items, sample_weight
        Arguments of `fit`, after `labels_and_catalogue`.
    resuming : bool
        Whether a fitted recommender is trained further.
    processes : Processes, default=Processes()
        The processes that train together.
    method : {"fit", "partial_fit"}, default="fit"
        The method of the recommender that was called, which must be the same in all processes.
    checkpoint : Checkpoint, default=None
        Compared with the inputs. If training continues from it, it has the seed.

    Returns
    -------
    FitInputs
    """
    r = recommender
    check_parameters(r)
    device = processes.device or resolve_device(r.device)
    check_precision(r.precision, device)
    is_sharded = isinstance(X, ShardedInteractions)
    table = X.first_rows() if is_sharded else as_table(X)
    kind = kind_of(table)  # first, because X and the catalogue may be swapped
    if resuming:
        passed, items, users = items, _extended(r.items_, items), r.users_
        removed = after_return(r.removed_, items, passed)
    else:
        items, users = read_catalogue(items, r.unknown_items), None
        removed = ids_of(items, np.empty(0, np.int64))
    asked = r.get_params(deep=False)
    if is_sharded:
        asked = asked_of_shards(asked, method)
    known = {name: getattr(r, f"{name}_") for name in FAMILIES} if resuming else {}
    chosen = choose_operators(asked, kind, items) | {
        name: known[name] for name in known if asked[name] == AUTO
    }
    operators = {
        name: resolve_operator(name, chosen.get(name, asked[name]), r.width) for name in FAMILIES
    }
    if resuming:
        check_same_model(r, operators)
    elif operators["behavior"].reads_users:
        if is_sharded:
            raise ValueError(USERS_OF_SHARDS.format(operators["behavior"]))
        users = read_user_ids(table)
    if resuming:
        context = r.context_
    else:
        context, unread = fit_context(r.context, table, r.context_fields)
        warn_unread(table, r.context, unread)
        check_context_field(context, operators["predictor"])
    if isinstance(r.context, str) and r.context == AUTO:
        chosen["context"] = None if context is None else context.columns
    drop_unknown = "all" if r.unknown_items == "ignore" else "nothing"
    data: Any
    if is_sharded:
        warn_misspelled_columns(table)
        data = survey(X, items, drop_unknown, processes)
    else:
        data = _encode_weighted(table, y, items, drop_unknown, sample_weight, users, context)
    seed = check_random_state(r.random_state).randint(2**31, size=4)
    loss = resolve_loss(r.loss, data)
    chosen |= choose_numbers(asked, data, items.n_items, loss, operators)
    parameters = SimpleNamespace(**asked | chosen)
    check_combination(parameters, data.kind, loss, operators["behavior"])
    if processes.n > 1 or checkpoint is not None:
        own = {"call:": method, "model:": describe_model(r, resuming)}
        described = {**vars(parameters), **operators, "loss": loss}
        own |= describe_inputs(described, _text_of(data), items, users)
        seed = _agreed_seed(seed, r.random_state, own, processes, checkpoint)
    return FitInputs(
        operators,
        items,
        users,
        context,
        data,
        loss,
        np.random.default_rng(seed),
        device,
        processes,
        parameters,
        chosen,
        removed,
    )


def _text_of(data: CodedInteractions | StreamedRows) -> str:
    """Return a text for rows, which is equal in all processes; see `describe_rows`."""
    return data.describe() if isinstance(data, StreamedRows) else describe_rows(data)


def _agreed_seed(
    seed: Any,
    random_state: Any,
    own: dict[str, str],
    processes: Processes,
    checkpoint: Checkpoint | None,
) -> Any:
    """Compare the inputs with those of other processes and of a checkpoint, and return the seed.

    All processes take that of process 0, or of the checkpoint.
    """
    check_same(processes, own)
    is_fixed = isinstance(random_state, numbers.Integral)
    chance = f"{random_state}" if is_fixed else "another one for each fit"
    seed, chance = processes.first(lambda: (seed, chance), "the seed")
    return seed if checkpoint is None else checkpoint.begin({**own, "random_state =": chance}, seed)


def items_by_keyword(method: Method) -> Method:
    """Explain a third positional argument of a method, which is probably the catalogue."""

    @wraps(method)
    def checked(self: Any, X: Any, y: Any = None, *more: Any, **keywords: Any) -> Any:
        if more:
            name = method.__name__
            raise TypeError(
                f"{name} takes X and y by position; after y, the catalogue is a keyword argument: "
                f"write rec.{name}(X, y, items=items)"
            )
        return method(self, X, y, **keywords)

    return cast(Method, checked)


def labels_and_catalogue(y: Any, items: Any) -> tuple[Any, Any]:
    """Return y and `items`; if y is a catalogue, it becomes `items`.

    Parameters
    ----------
    y, items : object
        Arguments of `fit`. A catalogue in place of y is an ``Items``, a mapping of ids to texts, a
        table with a column `item_id`, or a pandas data frame or Series of texts whose index has
        this name.

    Returns
    -------
    y : object
        Labels, or None.
    items : object
        The catalogue, or None.

    Raises
    ------
    ValueError
        If there are two catalogues, y is a table of several columns without `item_id`, or y is X.
    """
    table = Table(y) if is_table(y) and not isinstance(y, Items) else None
    is_catalogue = (
        isinstance(y, Items)
        or _is_mapping_to_texts(y)
        or is_indexed_by(y, "item_id")
        or (table is not None and "item_id" in table)
    )
    if not is_catalogue:
        if table is not None and "history" in table:
            raise ValueError(
                "the table in y's place has a column 'history', so it is X: write rec.fit(X, items)"
            )
        if items is None and table is not None and not _is_one_column_of_numbers(table):
            raise ValueError(
                f"the table in y's place has no id column 'item_id', only "
                f"{preview(table.names, 20)}; name it with items=Items(df, id='...'), or with "
                "columns={'item': '...'} if X is a log of clicks" + hint_for_index(y)
            )
        return y, items
    if items is not None:
        raise ValueError("there are two catalogues: one in y's place and one in items=; give one")
    return None, y


def _is_one_column_of_numbers(table: Table) -> bool:
    """Whether a table in y's place may contain labels."""
    if len(table.names) != 1:
        return not table.names
    kind = table.type(table.names[0])
    return not (pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_mapping_to_texts(y: Any) -> bool:
    """Whether `y` is a mapping of ids to texts, which is a catalogue."""
    return isinstance(y, Mapping) and bool(y) and all(isinstance(text, str) for text in y.values())


def read_catalogue(items: Any, unknown_items: str) -> Items:
    """Return the catalogue as Items.

    Parameters
    ----------
    items : Items, DataFrame-like, mapping or list of texts
        The `items` argument of `fit`.
    unknown_items : {"raise", "ignore"}
        With "ignore", `items` must be an ``Items``: a search may have cut a bare table, and the
        missing items would be ignored.

    Returns
    -------
    Items
    """
    if items is None:
        raise ValueError(NO_CATALOGUE)
    if isinstance(items, Items):
        return items
    if unknown_items == "ignore":
        raise TypeError(
            "unknown_items='ignore' needs the catalogue as items=Items(df), because a search may "
            f"have split a bare {type(items).__name__} without a warning"
        )
    return Items(items)


def check_classes(classes: Any) -> None:
    """Raise a ValueError unless `classes` is None or contains 0 and 1."""
    if classes is not None and sorted(np.asarray(classes).ravel().tolist()) != [0, 1]:
        raise ValueError(f"classes must be [0, 1] (not clicked, clicked) or None, got {classes!r}")


def _extended(known: Items, items: Any) -> Items:
    """Return the known catalogue with new and changed items; the same object if there are none."""
    return known if items is None else known.extend(items)
