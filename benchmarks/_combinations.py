"""Every operator of the three families, and what each combination of them must do."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from torch.optim.optimizer import register_optimizer_step_pre_hook

from _language_models import tiny_bert
from skrec import ContentRecommender, Items, behavior, content, predictor
from skrec._operators import required_parameters

FAMILIES = {
    "content": (content, content.ContentOperator),
    "behavior": (behavior, behavior.BehaviorOperator),
    "predictor": (predictor, predictor.Predictor),
}
SETTINGS = {
    "width": 16,
    "max_history": 4,
    "max_epochs": 1,
    "n_negatives": 3,
    "negative_sampling": "uniform",
    "history_targets": 0,
    "early_stopping": False,
    "random_state": 0,
}
# bce: softmax does not depend on what is added to all scores, so a last bias would never learn
TWO_STEPS = {"batch_size": 24, "loss": "bce"}
TWENTY_STEPS = {"batch_size": 12, "max_epochs": 20, "learning_rate": 3e-3}
N_ITEMS, N_ROWS, N_CANDIDATES = 16, 12, 4
WORDS = "sun moon red blue sea land fox owl a the of and".split()
CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # float32


def registered_operators(given):
    """Return the operators of each family by name: all classes that its package exports.

    `given` has values for parameters without a default.
    """
    return {
        family: {
            name: value(**{key: given[key] for key in required_parameters(value)})
            for name, value in ((name, getattr(package, name)) for name in package.__all__)
            if isinstance(value, type) and issubclass(value, base) and value is not base
        }
        for family, (package, base) in FAMILIES.items()
    }


def operators_with_options(given):
    """Return operators with options that change what they read, keep or train."""
    model = given["model"]
    return {
        "content": {
            "LanguageModel-frozen": content.LanguageModel(model, trainable_layers=0),
            "LanguageModel-lora": content.LanguageModel(model, trainable_layers=1, lora=2),
            "LanguageModel-windows": content.LanguageModel(
                model, trainable_layers=1, max_length=9, stride=2
            ),
            "WithID-CNN": content.WithID(content.CNN(fusion="concat")),
        },
        "behavior": {
            "GRU-ini": behavior.GRU(user_embedding="ini"),
            "GRU-con": behavior.GRU(user_embedding="con"),
            "PolyAttention-category": behavior.PolyAttention(4, category="topic"),
        },
        "predictor": {"Dot-bias": predictor.Dot(4.0, item_bias=True)},
    }


def write_pretrained(folder):
    """Write a tiny language model and word vectors; return them by the parameters they are for."""
    model, tokenizer = tiny_bert()
    model.save_pretrained(Path(folder) / "bert")
    tokenizer.save_pretrained(Path(folder) / "bert")
    vectors = np.random.default_rng(0).normal(size=(len(WORDS), 5))
    lines = [" ".join(map(str, [word, *row])) for word, row in zip(WORDS, vectors, strict=True)]
    (Path(folder) / "vectors.txt").write_text("\n".join(lines) + "\n")
    return {
        "model": str(Path(folder) / "bert"),
        "word_vectors": str(Path(folder) / "vectors.txt"),
    }


class Data:
    """A catalogue with a column of every role, and impressions of a few users.

    Some items have nothing to read, some histories are empty, some too long, one is shared.
    """

    def __init__(self):
        rng = np.random.default_rng(0)
        self.frame = pd.DataFrame(
            {
                "item_id": range(N_ITEMS),
                "title": [" ".join(rng.choice(WORDS, size=i % 6)) for i in range(N_ITEMS)],
                "topic": pd.Categorical(["x", "y", "z", None] * (N_ITEMS // 4)),
                "tags": [list(rng.choice(["a", "b", "c"], size=i % 3)) for i in range(N_ITEMS)],
                "length": rng.normal(size=N_ITEMS),
                "vector": rng.normal(size=(N_ITEMS, 3)).tolist(),
            }
        )
        self.items = Items(self.frame)
        histories = [rng.integers(0, N_ITEMS, size=row % 7).tolist() for row in range(N_ROWS)]
        histories[1] = histories[2]
        self.impressions = pd.DataFrame(
            {
                "user_id": [f"user {row % 5}" for row in range(N_ROWS)],
                "history": histories,
                "candidates": [
                    rng.choice(N_ITEMS, size=N_CANDIDATES, replace=False).tolist()
                    for _ in range(N_ROWS)
                ],
                "clicked": [[1, 0, 0, 0], [0, 1, 0, 0]] * (N_ROWS // 2),
            }
        )


class Gradients:
    """While it is entered, notes the weights that optimisers get a gradient of."""

    def __enter__(self):
        self.n_steps, self.reached, self.moved = 0, set(), set()
        self.hook = register_optimizer_step_pre_hook(self._look)
        return self

    def __exit__(self, *error):
        self.hook.remove()

    def _look(self, optimizer, args, kwargs):
        self.n_steps += 1
        for group in optimizer.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self.reached.add(id(weight))
                    if weight.grad.any():
                        self.moved.add(id(weight))

    def idle(self, network):
        """Return the names of trained weights without a gradient, and of those with zeros only."""
        trained = {n: id(w) for n, w in network.named_parameters() if w.requires_grad}
        without = [name for name, weight in trained.items() if weight not in self.reached]
        zero = [name for name, weight in trained.items() if weight in self.reached - self.moved]
        return without, zero


def faults(operators, data, memory):
    """Return what is wrong with one combination, a line each; nothing where all is well.

    Parameters
    ----------
    operators : (content, behavior, predictor)
    data : Data
    memory : str or None
        Folder of what frozen layers of language models give.
    """
    rec = ContentRecommender(*operators, memory=memory, **SETTINGS, **TWO_STEPS)
    try:
        return [*_training_faults(rec, data), *_answer_faults(rec, data)]
    except Exception as error:  # all others are to be tried too
        return [f"{type(error).__name__}: {error}"]


def _training_faults(rec, data):
    """Fit, and look at the gradients."""
    with Gradients() as gradients:
        rec.fit(data.impressions, data.items)
    if gradients.n_steps != 2:
        yield f"{gradients.n_steps} steps"
    without, zero = gradients.idle(rec.network_)
    if without:
        yield f"no gradient: {', '.join(without)}"
    if zero := [name for name in zero if not _weighs_users(rec.network_, name)]:
        yield f"gradient zero in both steps: {', '.join(zero)}"


def _weighs_users(network, name):
    """Whether a predictor's weight learns from several vectors a user, and only from these.

    Of one vector the weight is 1, whatever it was computed with.
    """
    if not name.startswith("predictor."):
        return False
    user = torch.randn(2, 1, 3, network.width)
    scores = network.predictor(
        user, torch.ones(2, 3, dtype=torch.bool), torch.randn(2, 4, network.width)
    )
    weight = network.get_parameter(name)
    return bool(torch.autograd.grad(scores.square().sum(), weight)[0].any())


def _answer_faults(rec, data):
    """Ask a fitted recommender in several ways, which must agree."""
    X = data.impressions
    probabilities = [proba[:, 1] for proba in rec.predict_proba(X)]
    if not all(np.isfinite(row).all() for row in probabilities):
        yield "probabilities are not finite"
    if not all(len(set(row)) > 1 for row in probabilities):
        yield "candidates have equal probabilities"
    scores = scores_of(rec, X)
    if not np.array_equal(scores, scores_of(without_vectors(rec), X)):
        yield "a second answer differs"
    if not np.array_equal(scores, scores_of(pickle.loads(pickle.dumps(rec)), X)):
        yield "differs after pickle"
    again = clone(rec).fit(X, data.items)
    if not np.array_equal(scores, scores_of(again, X)):
        yield "a clone fits to another model"
    if not np.allclose(scores, scores_of(rec, X, items=data.frame), **CLOSE):
        yield "cached and uncached item vectors give other scores"
    alone = [scores_of(without_vectors(rec), X.iloc[row : row + 1]) for row in range(len(X))]
    if not np.allclose(scores, np.concatenate(alone), **CLOSE):
        yield "rows alone have other scores"
    ids, best = rec.recommend(X, k=3, exclude_seen=False)
    named = X.assign(candidates=list(ids)).drop(columns="clicked")
    if not np.allclose(scores_of(rec, named), best.ravel(), **CLOSE):
        yield "recommend gives other scores"


def without_vectors(rec):
    """Let a recommender compute all vectors anew: what it keeps would hide faults."""
    vars(rec).pop("_encoded_items", None)
    return rec


def scores_of(rec, X, **items):
    """Return the scores of all candidates, row after row."""
    return np.concatenate(rec.decision_function(X, **items))


def learning_faults(operators, data, memory):
    """Return what is wrong with 20 steps on one batch: the loss must fall."""
    rec = ContentRecommender(*operators, memory=memory, **{**SETTINGS, **TWENTY_STEPS})
    try:
        losses = rec.fit(data.impressions, data.items).loss_curve_
    except Exception as error:
        return [f"20 steps: {type(error).__name__}: {error}"]
    # the mean of six, because dropout and sampled negatives make single ones jump
    before, after = np.mean(losses[:6]), np.mean(losses[-6:])
    good = len(losses) == 20 and after < 0.99 * before
    return [] if good else [f"20 steps: the loss went from {before:.4g} to {after:.4g}"]
