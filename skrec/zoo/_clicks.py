"""Models whose user vector depends on the candidate."""

from __future__ import annotations

from typing import Any

from skrec import behavior, content, predictor
from skrec._recommender import ContentRecommender
from skrec.zoo._make import make


def DIN(**parameters: Any) -> ContentRecommender:
    r"""Build DIN, which weights the clicks per candidate with an activation unit.

    Use it to rank short lists when users have several interests and only some of them are relevant
    to a candidate [1]_. The weights of the clicks are not normalized, so the strength of an
    interest is preserved. A perceptron with layers of 200 and 80 units and the Dice activation
    computes the score. Words are averaged, as in Legommenders (arXiv 2412.15973). Users have no
    vector, so ``transform`` raises an error.

    Do not use it if lists are drawn from a large catalogue: the user vector is computed again for
    each candidate.

    Parameters
    ----------
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`. They override those of the model.

    Returns
    -------
    ContentRecommender
        Unfitted recommender.

    Notes
    -----
    .. math::

       v = \operatorname{mean}_c \operatorname{mean}_t x_{c t}, \quad u(v) = \sum_l
       \operatorname{MLP}_1([v; h_l; v - h_l; v * h_l]) \, h_l, \quad s = \operatorname{MLP}_2([u;
       v; u * v])

    **Cost.** 64,366 weights with ``width=64`` in the user model and the predictor, and D per word
    piece; O(L D) time per candidate, times the hidden units.

    References
    ----------
    .. [1] Zhou et al., "Deep Interest Network for Click-Through Rate Prediction",
       arXiv 1706.06978.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.DIN(max_epochs=5).behavior
    TargetAttention(activation='dice')
    """
    return make(
        parameters,
        content=content.MeanPooling(),
        behavior=behavior.TargetAttention((36,), activation="dice"),
        predictor=predictor.MLP((200, 80), activation="dice"),
    )


def BST(**parameters: Any) -> ContentRecommender:
    r"""Build BST, a Transformer over the clicks and the candidate.

    Use it to rank short lists in sessions, where the next click depends on the order of the clicks
    and on the candidate [1]_. It has one Transformer layer with 8 heads, the best setting in the
    paper. A perceptron with layers of 1,024, 512 and 256 units computes the score. Words are
    averaged. Users have no vector, so ``transform`` raises an error.

    Do not use it if lists are drawn from a large catalogue: the Transformer runs again for each
    candidate.

    Parameters
    ----------
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`. They override those of the model.

    Returns
    -------
    ContentRecommender
        Unfitted recommender.

    Notes
    -----
    .. math::

       v = \operatorname{mean}_c \operatorname{mean}_t x_{c t}, \quad u(v) =
       \operatorname{pool}\left(\operatorname{Transformer}([h_1 + p_L, \ldots, h_L + p_1, v +
       p_0])\right), \quad s = \operatorname{MLP}([u; v; u * v])

    **Cost.** 882,497 weights with ``width=64`` in the user model and the predictor, and D per word
    piece; O(L² D + L D²) time per candidate with L clicks, and the perceptron.

    References
    ----------
    .. [1] Chen et al., "Behavior Sequence Transformer for E-commerce Recommendation in Alibaba",
       arXiv 1905.06874.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.BST(max_epochs=5).behavior
    BehaviorSequenceTransformer(n_heads=8)
    """
    return make(
        parameters,
        content=content.MeanPooling(),
        behavior=behavior.BehaviorSequenceTransformer(n_layers=1, n_heads=8),
        predictor=predictor.MLP((1024, 512, 256), activation="leaky_relu", dropout=0.2),
    )
