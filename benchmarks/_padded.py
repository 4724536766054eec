"""The loss of a batch of which each slot of the padded grid is encoded by itself."""

import torch

from skrec._batch import Outputs
from skrec._training.losses import batch_loss

MAX_HISTORY = 50


def padded_loss(network, batch, vectors_of):
    """Return the softmax loss of a batch, as a straightforward implementation computes it.

    Parameters
    ----------
    network : Network
    batch : Batch
        Its histories are padded to `MAX_HISTORY` clicks.
    vectors_of : callable
        Function of item codes (S,), with repetitions, that returns their vectors (S, D).

    Returns
    -------
    tensor of shape ()
    """
    history = batch.items[batch.history[batch.history_of_row]]  # (B, L)
    mask = batch.history_mask[batch.history_of_row]
    history = torch.nn.functional.pad(history, (0, MAX_HISTORY - history.shape[1]))
    mask = torch.nn.functional.pad(mask, (0, MAX_HISTORY - mask.shape[1]))
    grid = torch.cat([history, batch.items[batch.candidates]], dim=1)  # (B, 50 + C)
    vectors = vectors_of(grid.ravel()).view(*grid.shape, -1)  # (B, 50 + C, D)
    clicks, mask = network.with_empty(vectors[:, :MAX_HISTORY], mask)
    scores = network.score(clicks, mask, torch.arange(len(grid)), vectors[:, MAX_HISTORY:])
    outputs = Outputs(scores, scores.new_zeros(()), vectors)
    return batch_loss("softmax", network, outputs, batch)
