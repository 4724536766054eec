"""Random number generators of numpy and torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

from skrec._common.locks import ForkSafeLock

# all threads share torch's global generator, which drives initial weights and dropout
_LOCK = ForkSafeLock()


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


class TorchGenerator:
    """States of torch's random generators that belong to one fit.

    Torch has one generator per device, which all threads share and which drives initial weights and
    dropout. `lent` gives a block the states of this fit, and restores the previous ones afterwards.
    Therefore, fits in several threads give the same results as fits one after another.

    Parameters
    ----------
    device : torch.device, default=None
        Device of the fit. Its generator is used in addition to that of the CPU if it is a GPU.
    """

    def __init__(self, device: torch.device | None = None):
        self._gpus = [device] if device is not None and device.type == "cuda" else []
        self.cpu_state: torch.Tensor | None = None
        self.gpu_states: list[torch.Tensor] = []

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let a short block use torch's generators, while other threads wait for them.

        Yields
        ------
        None
        """
        with _LOCK.held(), torch.random.fork_rng(devices=self._gpus):
            if self.cpu_state is not None:
                torch.set_rng_state(self.cpu_state)
            for gpu, state in zip(self._gpus, self.gpu_states, strict=False):
                torch.cuda.set_rng_state(state, gpu)
            try:
                yield
            finally:
                self.cpu_state = torch.get_rng_state()
                self.gpu_states = [torch.cuda.get_rng_state(gpu) for gpu in self._gpus]
