"""Advice in the messages of errors that training raises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


def advice(plan: Any, network: nn.Module) -> str:
    """Return what helps if training diverges.

    Parameters
    ----------
    plan : Plan
        Hyperparameters of the training.
    network : Network
        The network.

    Returns
    -------
    str
    """
    half = [f"precision={plan.precision!r}"] if plan.precision == "float16" else []
    if any(weight.dtype is torch.float16 for weight in network.parameters()):
        half.append("dtype='float16' of the language model")
    if half:
        return (
            f"float16 ends at 65,504, and {' and '.join(half)} compute in it; take 'bfloat16' or "
            "'float32'"
        )
    return (
        f"lower learning_rate (now {plan.learning_rate:g}) or weight_decay (now "
        f"{plan.weight_decay:g}), or look for extreme numbers in the items' columns"
    )


@contextmanager
def memory_advice() -> Iterator[None]:
    """Add advice to out-of-memory errors that are raised in the block.

    Yields
    ------
    None
    """
    try:
        yield
    except RuntimeError as error:  # base class of torch.OutOfMemoryError
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            error.add_note(
                "skrec: lower batch_size or max_history; a language model also needs less memory "
                "with gradient_checkpointing=True or fewer trainable_layers"
            )
        raise
