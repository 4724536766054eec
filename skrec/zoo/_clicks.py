"""Models in which the candidate looks at the clicks."""

from __future__ import annotations

from typing import Any

from skrec import behavior, content, predictor
from skrec._recommender import ContentRecommender
from skrec.zoo._make import make


def DIN(**parameters: Any) -> ContentRecommender:
    """Each candidate weighs the clicks by an activation unit, then a perceptron.

    For users of many interests, of which one counts for the item at hand [1]_. Weights are not
    normalised, so that a strong interest stays strong. Layers of 200 and 80 with Dice. Words are
    averaged, as in Legommenders. It ranks short lists; users have no vector, so ``transform``
    raises.

    Parameters
    ----------
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`.

    Returns
    -------
    ContentRecommender

    References
    ----------
    .. [1] Zhou et al., "Deep Interest Network for Click-Through Rate Prediction",
       arXiv 1706.06978.

    Examples
    --------
    >>> from skrec import zoo
    >>> rec = zoo.DIN(max_epochs=5)
    """
    return make(
        parameters,
        content=content.MeanPooling(),
        behavior=behavior.TargetAttention((36,), activation="dice"),
        predictor=predictor.MLP((200, 80), activation="dice"),
    )


def BST(**parameters: Any) -> ContentRecommender:
    """Order of the clicks, and the candidate behind them: a Transformer, then a perceptron.

    For sessions, where what comes next depends on the order and on what is offered [1]_. One block
    of 8 heads, as the paper found best, and layers of 1,024, 512 and 256. Words are averaged. It
    ranks short lists; users have no vector, so ``transform`` raises.

    Parameters
    ----------
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`.

    Returns
    -------
    ContentRecommender

    References
    ----------
    .. [1] Chen et al., "Behavior Sequence Transformer for E-commerce Recommendation in Alibaba",
       arXiv 1905.06874.

    Examples
    --------
    >>> from skrec import zoo
    >>> rec = zoo.BST(max_epochs=5)
    """
    return make(
        parameters,
        content=content.MeanPooling(),
        behavior=behavior.BehaviorSequenceTransformer(n_layers=1, n_heads=8),
        predictor=predictor.MLP((1024, 512, 256), activation="leaky_relu", dropout=0.2),
    )
