"""A fitted recommender as HTML: its parts in the order of the data, and what it learned."""

from __future__ import annotations

import math
from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils import estimator_html_repr

from skrec._common.html_view import paragraph, view
from skrec._training.parameters import FAMILIES


def visual_block(recommender: Any) -> Any:
    """Return the boxes that scikit-learn draws: the fitted operators, one below the other.

    Parameters
    ----------
    recommender : ContentRecommender
        A fitted recommender.

    Returns
    -------
    object
        What scikit-learn draws for a pipeline of the operators.
    """
    steps = [(name, getattr(recommender, f"{name}_")) for name in FAMILIES]
    return Pipeline(steps)._sk_visual_block_()


def recommender_view(recommender: Any) -> str:
    """Return the boxes of scikit-learn, and above them a line on the fitted model.

    Parameters
    ----------
    recommender : ContentRecommender

    Returns
    -------
    str
        HTML.
    """
    boxes = estimator_html_repr(recommender)
    if not hasattr(recommender, "network_"):
        return boxes
    return view(f"Fitted {type(recommender).__name__}", paragraph(describe(recommender))) + boxes


def describe(recommender: Any) -> str:
    """Return the size of a fitted model, its epochs and its best score in one line."""
    weights = list(recommender.network_.parameters())
    n_weights = sum(weight.numel() for weight in weights)
    n_trained = sum(weight.numel() for weight in weights if weight.requires_grad)
    facts = [
        f"{recommender.items_.n_items:,} items",
        f"{n_weights:,} weights" + (f" ({n_trained:,} trained)" if n_trained < n_weights else ""),
        f"{recommender.n_epochs_} epoch{'' if recommender.n_epochs_ == 1 else 's'}",
    ]
    best = getattr(recommender, "best_score_", math.nan)  # folders of 0.1.0.dev0 may lack it
    if not math.isnan(best):
        facts.append(f"best validation score {best:.4f}")
    return ", ".join(facts)
