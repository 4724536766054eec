"""Torch's random numbers, lent to one fit at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

# torch has one generator for initial weights and dropout in all threads
_TURN = threading.RLock()


@contextmanager
def borrowed_generator(device: torch.device | None = None) -> Iterator[None]:
    """Give torch's global generators to a block, and put them back as they were.

    Other threads wait for their turn, so that fits in threads equal fits one by one.

    Parameters
    ----------
    device : torch.device, default=None
        A GPU whose generator is borrowed too.

    Yields
    ------
    None
    """
    gpus = [device] if device is not None and device.type == "cuda" else []
    with _TURN, torch.random.fork_rng(devices=gpus):
        yield


def as_generator(random_state: Any) -> np.random.Generator:
    """Return a numpy Generator for what scikit-learn takes as random_state, or for a Generator."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    seed = check_random_state(random_state).randint(2**32, size=4, dtype=np.uint32)
    return np.random.default_rng(seed)
