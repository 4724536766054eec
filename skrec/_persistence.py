"""A network's weights as plain arrays, for pickles."""

from __future__ import annotations

import numpy as np
import torch

from skrec._network import Network


def to_arrays(network: Network) -> dict[str, np.ndarray]:
    """Return the weights as arrays, which any machine can read whatever device they were on.

    Parameters
    ----------
    network : Network

    Returns
    -------
    dict of str to ndarray
    """
    return {name: value.cpu().numpy() for name, value in network.state_dict().items()}


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
    tensors = {name: torch.from_numpy(value.copy()) for name, value in arrays.items()}
    network = network.to(tensors["empty_history"].dtype)
    network.load_state_dict(tensors)
    return network
