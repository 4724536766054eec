"""A network's weights as plain arrays, for pickles."""

from __future__ import annotations

import numpy as np
import torch

from skrec._network import Network

# numpy has no such numbers: their bits, under a name that says so
BFLOAT16 = np.dtype([("bfloat16", np.int16)])


def to_arrays(network: Network) -> dict[str, np.ndarray]:
    """Return what was trained as arrays, which any machine can read whatever device it was on.

    Parameters
    ----------
    network : Network

    Returns
    -------
    dict of str to ndarray
    """
    return {name: to_array(value.cpu()) for name, value in network.trained_state().items()}


def to_array(value: torch.Tensor) -> np.ndarray:
    """Return a tensor on the CPU as an array, bfloat16 by its bits."""
    if value.dtype is torch.bfloat16:
        return value.view(torch.int16).numpy().view(BFLOAT16)
    return value.numpy()


def to_tensor(array: np.ndarray) -> torch.Tensor:
    """Return an array, bits of bfloat16 too, as a tensor of its own."""
    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(array.copy())


def load_arrays(network: Network, arrays: dict[str, np.ndarray]) -> Network:
    """Put weights into a network that was built anew.

    Parameters
    ----------
    network : Network
        Of the shape that the weights had.
    arrays : dict of str to ndarray
        What `to_arrays` returned.

    Returns
    -------
    Network
        The same, in the number type of the weights.
    """
    tensors = {name: to_tensor(value) for name, value in arrays.items()}
    if tensors["empty_history"].dtype is torch.float64:
        network = network.double()
    network.load_trained_state(tensors)
    return network
