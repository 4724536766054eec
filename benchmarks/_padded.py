"""The loss of a batch of which each slot of the padded grid is encoded by itself."""

import torch

from _training_steps import MAX_HISTORY, TrainingSteps
from skrec._batch import Outputs
from skrec._training.losses import batch_loss
from skrec.content._columns.network import ColumnNetwork


class PaddedSteps(TrainingSteps):
    """Training steps that can also be taken in the plain way, with an optimizer of their own."""

    def __init__(self, rec, items, impressions, n_batches):
        super().__init__(rec, items, impressions, n_batches)
        everything = torch.arange(items.n_items)
        self.padded = self.packed.take(everything)  # to the longest text of the data
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-3, fused=True)

    def take_plain(self):
        """Take the steps with each slot of the padded grid encoded."""
        for batch in self.batches:
            self.optimizer.zero_grad(set_to_none=True)
            padded_loss(self.network, batch, self._vectors).backward()
            self.optimizer.step()

    def _vectors(self, slots):
        columns = {
            name: (values[slots], real[slots]) for name, (values, real) in self.padded.items()
        }
        return padded_vectors(self.network.content, columns)


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
    items = batch.items.to(batch.history.device)
    history = items[batch.history[batch.history_of_row]]  # (B, L)
    mask = batch.history_mask[batch.history_of_row]
    history = torch.nn.functional.pad(history, (0, MAX_HISTORY - history.shape[1]))
    mask = torch.nn.functional.pad(mask, (0, MAX_HISTORY - mask.shape[1]))
    grid = torch.cat([history, items[batch.candidates]], dim=1)  # (B, 50 + C)
    vectors = vectors_of(grid.ravel()).view(*grid.shape, -1)  # (B, 50 + C, D)
    clicks, mask = network.with_empty(vectors[:, :MAX_HISTORY], mask)
    rows = torch.arange(len(grid), device=grid.device)
    scores = network.score(clicks, mask, rows, vectors[:, MAX_HISTORY:])
    outputs = Outputs(scores, scores.new_zeros(()), vectors)
    return batch_loss("softmax", network, outputs, batch)


def padded_vectors(module, columns):
    """Item vectors (U, D), with every place of the padded texts embedded and encoded."""
    if not isinstance(module, ColumnNetwork):
        return module(columns)
    vectors = []
    for column, key, encoder in zip(module.schema, module.keys, module.encoders, strict=True):
        values, mask = columns[column.name]
        embed = module.embeddings[key]
        if column.role in ("text", "multi-category"):
            vectors.append(encoder(embed(values), mask))
        elif column.role == "category":
            vectors.append(embed(values[:, 0]))
        else:
            vectors.append(embed(values.to(embed.weight.dtype)))
    if module.fusion is None:
        return vectors[0]
    masks = [columns[column.name][1].any(dim=1) for column in module.schema]
    return module.fusion(torch.stack(vectors, dim=1), torch.stack(masks, dim=1))
