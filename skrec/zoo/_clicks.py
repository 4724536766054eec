"""Models whose user vector depends on the candidate."""

from __future__ import annotations

from typing import Any

from skrec import behavior, content, predictor
from skrec._recommender import ContentRecommender
from skrec.zoo._make import make


def DIN(**parameters: Any) -> ContentRecommender:
    """Build DIN, which weights the clicks per candidate with an activation unit.

    Use it to rank short lists when users have several interests and only some of them are relevant
    to a candidate [1]_. The weights of the clicks are not normalized, so the strength of an
    interest is preserved. A perceptron with layers of 200 and 80 units and the Dice activation
    computes the score. Words are averaged, as in Legommenders (arXiv 2412.15973). Users have no
    vector, so ``transform`` raises an error.

    Parameters
    ----------
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`. They override those of the model.

    Returns
    -------
    ContentRecommender
        Unfitted recommender.

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
    """Build BST, a Transformer over the clicks and the candidate.

    Use it to rank short lists in sessions, where the next click depends on the order of the clicks
    and on the candidate [1]_. It has one Transformer layer with 8 heads, the best setting in the
    paper. A perceptron with layers of 1,024, 512 and 256 units computes the score. Words are
    averaged. Users have no vector, so ``transform`` raises an error.

    Parameters
    ----------
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`. They override those of the model.

    Returns
    -------
    ContentRecommender
        Unfitted recommender.

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
