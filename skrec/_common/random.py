"""Random number generators of numpy and torch."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

# all threads share torch's global generator, which drives initial weights and dropout
_LOCK = threading.RLock()


def as_generator(random_state: Any) -> np.random.Generator:
    """Return a numpy Generator.

    Parameters
    ----------
    random_state : int, RandomState, Generator or None
        A Generator is returned unchanged. Anything else is used as a seed, as in scikit-learn.

    Returns
    -------
    numpy.random.Generator
    """
    if isinstance(random_state, np.random.Generator):
        return random_state
    seed = check_random_state(random_state).randint(2**32, size=4, dtype=np.uint32)
    return np.random.default_rng(seed)


@contextmanager
def borrowed_generator(device: torch.device | None = None) -> Iterator[None]:
    """Let a block use torch's global generators, and restore their states afterwards.

    Other threads wait until the block ends. Therefore, fits in several threads give the same
    results as fits one after another.

    Parameters
    ----------
    device : torch.device, default=None
        Device whose generator is restored in addition to that of the CPU, if it is a GPU.

    Yields
    ------
    None
    """
    gpus = [device] if device is not None and device.type == "cuda" else []
    with _LOCK, torch.random.fork_rng(devices=gpus):
        yield
