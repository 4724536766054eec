"""Recommenders, rows and plain ways of prediction for `bench_inference.py`."""

import time

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from skrec import ContentRecommender, Items, behavior, content, predictor, zoo
from skrec._data.encode import encode
from skrec._data.ragged import pad_histories
from skrec._data.rows import as_table

MAX_HISTORY = 50
SMALL = {"max_epochs": 1, "early_stopping": False, "max_history": MAX_HISTORY, "random_state": 0}


def recommenders(folder):
    """Return the models by name; that with a language model if there is its folder."""
    models = {
        "NAML": zoo.NAML(**SMALL),
        "NRMS": zoo.NRMS(**SMALL),
        "DCNv2": zoo.DCNv2(**SMALL),
        "DCNv2 of ids": ContentRecommender(
            content.ID(), behavior.MeanPooling(), predictor.DCNv2(), **SMALL
        ),
    }
    if folder:
        language_model = content.LanguageModel(folder, trainable_layers=1, pooling="attention")
        models["MiniLM split 1"] = ContentRecommender(
            language_model, behavior.AdditiveAttention(), predictor.Dot(), **SMALL
        )
    return models


def mind_sized(n_items, n_users, n_rows):
    """Make rows of the shape of MIND: a catalogue of titles, and impressions as an Arrow table."""
    rng = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(20000)])
    length = rng.integers(6, 17, size=n_items)
    drawn = words[np.minimum(rng.zipf(1.3, size=length.sum()), len(words)) - 1]
    titles = [" ".join(part) for part in np.split(drawn, np.cumsum(length)[:-1])]
    topics = pd.Categorical(rng.choice([f"topic{i}" for i in range(18)], size=n_items))
    items = Items(pd.DataFrame({"item_id": range(n_items), "title": titles, "topic": topics}))
    history = _lists(rng, rng.integers(1, 60, size=n_users), n_items)
    per_user = np.full(n_users, n_rows // n_users)
    per_user[: n_rows - per_user.sum()] += 1
    candidates = _lists(rng, per_user, n_items)
    first = np.zeros(n_rows, dtype=np.int8)
    first[candidates.offsets.to_numpy()[:-1]] = 1
    clicked = pa.ListArray.from_arrays(candidates.offsets, first)
    return items, pa.table({"history": history, "candidates": candidates, "clicked": clicked})


def _lists(rng, lengths, n_items):
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    popular = (n_items * rng.random(offsets[-1]) ** 3).astype(np.int64)
    return pa.ListArray.from_arrays(offsets, popular)


def fitted(recommender, items, X):
    """Train on a few impressions, for it is no matter what the weights are."""
    return recommender.fit(X, items)


@torch.inference_mode()
def uncached_seconds(rec, X, n_rows, batch=64):
    """Score some candidates the plain way, and return the seconds for one.

    Each candidate is a row of its own, with a history: nothing is kept between rows, and nothing
    is shared in a batch.
    """
    data = encode(as_table(X), items=rec.items_)
    network, packed = rec.network_.eval(), rec._encoded_items.packed(rec.network_)
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(data.candidate_codes))[:n_rows]
    row = data.row_of_candidate()[chosen]
    stops = data.history_offsets[data.history_of_row[row] + 1]
    starts = np.maximum(data.history_offsets[data.history_of_row[row]], stops - MAX_HISTORY)
    start_time = time.perf_counter()
    for at in range(0, len(chosen), batch):
        part = slice(at, at + batch)
        codes, mask = pad_histories(data.history_codes, starts[part], stops[part])
        real = torch.from_numpy(codes[mask])  # one entry a click, with repeats
        own = torch.from_numpy(data.candidate_codes[chosen[part]].astype(np.int64))
        vectors = network.encode(packed, torch.cat([real, own]), 1 << 16)
        clicks = torch.zeros(*codes.shape, network.width)
        clicks[torch.from_numpy(mask)] = vectors[: len(real)]
        clicks, real_mask = network.with_empty(clicks, torch.from_numpy(mask))
        users = network.users(clicks, real_mask)
        network.match(users.unsqueeze(1), vectors[len(real) :].unsqueeze(1))
    return (time.perf_counter() - start_time) / len(chosen)


@torch.inference_mode()
def bare_scores(rec, data, users, user_of_row, block=1 << 16):
    """Score all candidates by the bare predictor module, from vectors that are there."""
    items = rec._encoded_items.vectors(rec.network_)
    user = torch.from_numpy(user_of_row[data.row_of_candidate()])
    item = torch.from_numpy(data.candidate_codes.astype(np.int64))
    mask = torch.ones(block, users.shape[1], dtype=torch.bool)
    scores = [
        rec.network_.predictor(
            users[u].unsqueeze(1), mask[: len(u)], items[i].unsqueeze(1)
        ).squeeze(1)
        for u, i in zip(user.split(block), item.split(block), strict=True)
    ]
    return torch.cat(scores).numpy()


def forget(rec):
    """Drop the vectors of items and users, as a new weight would."""
    rec.network_.n_steps += 1
