"""The steps that `fit` takes on some batches, apart from `fit`."""

import numpy as np

from skrec._data.encode import encode
from skrec._data.rows import as_table
from skrec._training.batches import iterate_batches
from skrec._training.examples import ImpressionExamples
from skrec._training.negatives import NegativeSampler
from skrec._training.trainer import Plan, Stepper

MAX_HISTORY, BATCH_SIZE, N_NEGATIVES = 50, 64, 4


class TrainingSteps:
    """The network of a recommender, its batches, and what takes the steps of training.

    Parameters
    ----------
    rec : ContentRecommender
    items : Items
    impressions : DataFrame or pyarrow.Table
        Rows of the batches, with `N_NEGATIVES` sampled negatives each.
    n_batches : int
    """

    def __init__(self, rec, items, impressions, n_batches):
        # a step on one row makes the network and prepares the items
        first = impressions.head(1) if hasattr(impressions, "head") else impressions.slice(0, 1)
        self.rec = rec.fit(first, items)
        self.network = self.rec.network_.train()
        self.packed = self.rec._encoded().packed(self.network)
        data = encode(as_table(impressions), items=items, labels="required")
        sampler = NegativeSampler(data, items.n_items, N_NEGATIVES, "uniform")
        examples, rng = ImpressionExamples(data, sampler), np.random.default_rng(0)
        batches = iterate_batches(examples, BATCH_SIZE, MAX_HISTORY, rng)
        device = self.network.empty_history.device
        self.batches = [
            batch.to(device) for batch, _ in zip(batches, range(n_batches), strict=False)
        ]
        self.n_impressions = sum(len(batch.labels) for batch in self.batches)
        self.plan = Plan.of(self.rec, "softmax")
        self.stepper = Stepper(self.network, self.plan)

    def take(self, packed=None):
        """Take the steps of all batches, on the packed items or on others in their place."""
        for batch in self.batches:
            self.stepper.step(packed or self.packed, batch)
