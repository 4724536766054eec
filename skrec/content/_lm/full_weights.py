"""Weights that are trained next to adapters: whole modules, and rows of the token embeddings."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any

import torch
from torch import nn

from skrec._common.messages import preview

# heads of models for tasks, which peft names by itself, and which models that read texts lack
HEADS = {"classifier", "score", "qa_outputs"}


def check_full_weights(lora: Any) -> None:
    """Raise a ValueError unless a configuration names modules and tokens in a valid form.

    Parameters
    ----------
    lora : peft.LoraConfig
        A configuration.
    """
    names = lora.modules_to_save
    if names is not None and not (_are(names, str) and all(names)):
        raise ValueError(f"lora.modules_to_save must be a list of names or None, got {names!r}")
    rows = lora.trainable_token_indices
    lists = list(rows.values()) if isinstance(rows, dict) else [] if rows is None else [rows]
    for each in lists:
        if not _are(each, Integral) or len(set(each)) < len(each) or min(each) < 0:
            raise ValueError(
                "lora.trainable_token_indices must be a list of different token ids, such as those "
                f"of new tokens, or None, got {rows!r}"
            )
    if isinstance(rows, dict) and len(rows) != 1:
        raise ValueError(
            f"lora.trainable_token_indices must name one table of embeddings, got {sorted(rows)}"
        )


def _are(values: Any, kind: type) -> bool:
    """Return whether a value is a list of values of a type, with at least one."""
    given = isinstance(values, list | tuple | set) and len(values) > 0
    return given and all(isinstance(each, kind) and type(each) is not bool for each in values)


def trained_modules(model: Any, names: Iterable[str] | None) -> list[str] | None:
    """Return the full names of modules whose weights are trained next to adapters.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The model. Weights that are frozen do not require gradients.
    names : iterable of str or None
        Full names of modules, or how they end, as in peft. Heads for tasks are ignored.

    Returns
    -------
    list of str or None
        None if there are no names.

    Raises
    ------
    ValueError
        If a name fits no module all of whose weights are trained, or if the weights have a 16-bit
        type.
    """
    names = set(names or ()) - HEADS
    if not names:
        return None
    _check_type(model, "modules_to_save")
    weights = {name: list(module.parameters()) for name, module in model.named_modules() if name}
    trained = [name for name, own in weights.items() if own and all(p.requires_grad for p in own)]
    found: set[str] = set()
    for name in sorted(names):
        matches = [each for each in trained if each.endswith(name)]
        if not matches:
            frozen = any(each.endswith(name) for each, own in weights.items() if own)
            last = sorted({end for each in trained if not (end := _last(each)).isdigit()})
            raise ValueError(
                f"lora.modules_to_save names {name!r}, "
                + ("which is frozen" if frozen else "which this model lacks")
                + "; only modules above the frozen layers are trained (trainable_layers=None "
                f"trains all of them, and the embeddings), with names that end in {preview(last)}"
            )
        found.update(matches)
    # a module inside of another one is trained with it
    inner = {name for name in found for other in found if name.startswith(f"{other}.")}
    return sorted(found - inner)


def token_rows(model: Any, rows: Any) -> dict[str, list[int]] | None:
    """Return the rows of the token embeddings that are trained, by the full name of the table.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The model.
    rows : list of int, dict of str to list of int, or None
        Ids of the tokens, or these by the name of the table or how it ends.

    Returns
    -------
    dict of str to list of int, or None
        None if `rows` is None.

    Raises
    ------
    ValueError
        If the embeddings are frozen, if there is another table, if a row does not exist, or if the
        weights have a 16-bit type.
    """
    if rows is None:
        return None
    _check_type(model, "trainable_token_indices")
    table = model.get_input_embeddings()
    [name] = [name for name, module in model.named_modules() if module is table]
    if not table.weight.requires_grad:
        raise ValueError(
            "lora.trainable_token_indices trains rows of the token embeddings, which are frozen in "
            "split mode; take trainable_layers=None"
        )
    [(asked, ids)] = rows.items() if isinstance(rows, dict) else [(name, rows)]
    if not name.endswith(asked):
        raise ValueError(
            f"lora.trainable_token_indices names the table {asked!r}, but the token embeddings of "
            f"this {type(model).__name__} are {name!r}"
        )
    if max(ids) >= len(table.weight):
        raise ValueError(
            f"lora.trainable_token_indices has {max(ids)}, but the model knows "
            f"{len(table.weight)} tokens; call resize_token_embeddings on it after tokens were "
            "added to the tokenizer, and give both as objects"
        )
    return {name: sorted(int(each) for each in ids)}


def check_apart(adapted: list[str], modules: list[str] | None, tables: Any) -> None:
    """Raise a ValueError if a module has adapters and is trained as a whole, too."""
    for outer in modules or ():
        inside = [
            name for name in (*adapted, *(tables or ())) if f"{name}.".startswith(f"{outer}.")
        ]
        if inside:
            raise ValueError(
                f"lora.modules_to_save trains all weights of {outer!r}, which contains "
                f"{inside[0]!r}, of which adapters or rows are trained; name one of them only "
                "(target_modules and exclude_modules choose where adapters are)"
            )


def train_modules(model: nn.Module, names: list[str] | None) -> None:
    """Let the weights of modules be trained, with the learning rate of pretrained weights."""
    for name in names or ():
        module: Any = model.get_submodule(name).requires_grad_(True)
        module.pretrained = True


def merged_rows(trained: nn.Module) -> dict[str, torch.Tensor]:
    """Return the tables of token embeddings with their trained rows, by their original names."""
    from peft.tuners.trainable_tokens import TrainableTokensLayer

    suffix = ".token_adapter"
    return {
        f"{name.removesuffix(suffix)}.weight": module.get_merged_weights(module.active_adapters)
        for name, module in trained.named_modules()
        if isinstance(module, TrainableTokensLayer)
    }


def name_in_peft(name: str, modules: list[str] | None) -> str:
    """Return the name that a weight has in a model that peft made."""
    for module in modules or ():
        if name.startswith(f"{module}."):
            return f"{module}.modules_to_save.default{name.removeprefix(module)}"
    return name


def _last(name: str) -> str:
    """Return the last part of the name of a module."""
    return name.rsplit(".", 1)[-1]


def _check_type(model: Any, setting: str) -> None:
    """Raise a ValueError for weights that would round small updates away."""
    if model.dtype.itemsize < 4:
        raise ValueError(
            f"lora.{setting} trains weights of the model itself, which must be float32 or float64; "
            f"take dtype='float32', got {str(model.dtype).removeprefix('torch.')}"
        )
