"""Limits on what the description of a network may cost, if it comes from anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.overrides import TorchFunctionMode

CALLS_PER_WEIGHT, MORE_CALLS = 50, 2_000


class LayerLimit(TorchFunctionMode):
    """Context in which a network is built. A network of far too many layers is an error.

    A changed file may describe a network of 10**6 layers, which takes minutes and all memory to
    build, even without memory for its weights. Each weight costs a few calls of torch, which are
    counted. Other threads are not affected.

    Parameters
    ----------
    n_weights : int
        Number of arrays with the weights of the network.
    what : str
        Description of the network in the error message.

    Raises
    ------
    ValueError
        If the network has far more weights than there are arrays.
    """

    def __init__(self, n_weights: int, what: str) -> None:
        super().__init__()
        self._n_weights, self._what, self._n_calls = n_weights, what, 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self._n_calls += 1
        if self._n_calls > CALLS_PER_WEIGHT * self._n_weights + MORE_CALLS:
            self._n_calls = 0  # torch.no_grad, which the error may leave, must call torch again
            raise ValueError(
                f"{self._what} describes more layers than its {self._n_weights} arrays of weights "
                "can belong to"
            )
        return func(*args, **(kwargs or {}))
