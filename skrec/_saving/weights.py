"""Weights of a network as numpy arrays, for pickles and saved folders."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from skrec._network import Network

# numpy has no bfloat16, so its bits are stored as int16 in a field with that name
BFLOAT16 = np.dtype([("bfloat16", np.int16)])
# attributes with arrays that must be finite; the last one is an old name of the one before
WEIGHTS = ("network_", "_training_state", "_progress")


def to_arrays(network: Network) -> dict[str, np.ndarray]:
    """Return the trained weights and buffers, which can be read on machines without a GPU.

    Parameters
    ----------
    network : Network
        A trained network.

    Returns
    -------
    dict of str to ndarray
        Arrays by the name of the weight.
    """
    return {name: to_array(value.cpu()) for name, value in network.trained_state().items()}


def to_array(value: torch.Tensor) -> np.ndarray:
    """Return a tensor on the CPU as an array without a copy; bfloat16 becomes `BFLOAT16`."""
    if value.dtype is torch.bfloat16:
        return value.view(torch.int16).numpy().view(BFLOAT16)
    return value.numpy()


def to_tensor(array: np.ndarray) -> torch.Tensor:
    """Return a copy of an array as a tensor; `BFLOAT16` becomes bfloat16."""
    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(array.copy())


def load_arrays(network: Network, arrays: dict[str, np.ndarray]) -> Network:
    """Load weights into a network.

    Parameters
    ----------
    network : Network
        A new network, with weights of the same shapes.
    arrays : dict of str to ndarray
        Result of `to_arrays`.

    Returns
    -------
    Network
        The network, with float64 weights if the arrays have this type.

    Raises
    ------
    ValueError
        If an array has another type than its weight.
    """
    tensors = {name: to_tensor(value) for name, value in arrays.items()}
    if tensors["empty_history"].dtype is torch.float64:
        network = network.double()
    for name, own in network.trained_state().items():
        found = tensors[name].dtype if name in tensors else own.dtype
        if found is not own.dtype:
            raise ValueError(f"network_.{name} must have values of {own.dtype}, got {found}")
    network.load_trained_state(tensors)
    return network


def check_finite(value: Any, at: str = "") -> None:
    """Raise a ValueError if weights or moments of the optimizer are NaN or infinite.

    Parameters
    ----------
    value : object
        State of a recommender, with arrays in nested dicts.
    at : str, default=""
        Location of the value in the recommender, for the error message.
    """
    if isinstance(value, dict):
        for name, each in value.items():
            if at or name in WEIGHTS:
                check_finite(each, f"{at}.{name}" if at else name)
    elif isinstance(value, np.ndarray):
        if not torch.isfinite(_view(value)).all():
            raise ValueError(f"{at} has values that are not finite")


def _view(array: np.ndarray) -> torch.Tensor:
    """Return an array of numbers as a tensor, without a copy if possible."""
    if array.dtype == BFLOAT16:
        return torch.from_numpy(np.ascontiguousarray(array).view(np.int16)).view(torch.bfloat16)
    if array.dtype.kind not in "fiub":
        return torch.zeros(0)
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))
