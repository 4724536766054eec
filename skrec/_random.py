"""Torch's random numbers, lent to one fit at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

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
