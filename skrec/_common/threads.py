"""Number of threads of torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import joblib
import torch

from skrec._common.messages import warn


@contextmanager
def limited_threads() -> Iterator[None]:
    """Limit the threads of torch to the available CPUs while the block runs.

    Threads that wait for each other's results keep their CPU busy. If there are more threads than
    CPUs, for example in a container with a limit on CPU time, steps can take ten times as long.

    Yields
    ------
    None

    Warns
    -----
    UserWarning
        If torch had more threads than there are CPUs.
    """
    before = torch.get_num_threads()
    available = joblib.cpu_count()  # respects affinity and the limits of containers
    # this variable limits joblib alone; it says nothing about the CPUs
    if before <= available or "LOKY_MAX_CPU_COUNT" in os.environ:
        yield
        return
    warn(
        f"torch has {before} threads for {available} available CPUs, which makes each step slow; "
        f"training uses {available}. Set the environment variable OMP_NUM_THREADS={available}, or "
        f"call torch.set_num_threads({available}), for everything else"
    )
    torch.set_num_threads(available)
    try:
        yield
    finally:
        torch.set_num_threads(before)
