"""Models of the order of clicks, which learn every click of a history."""

from __future__ import annotations

from typing import Any

from skrec import behavior, content, predictor
from skrec._recommender import ContentRecommender
from skrec.zoo._make import make


def SASRec(**parameters: Any) -> ContentRecommender:
    r"""Build SASRec, a causal Transformer over the clicks [1]_.

    Use it for lists over catalogues whose items have many clicks. As in the paper, items are
    learned vectors, there are 2 layers with 1 head, and each click of a history is predicted from
    those before it. Pass ``content=content.WithID()`` to read the content of the items as well.
    The paper's vectors have size 50, and its dropout rate is 0.5 on sparse data.

    Do not use it if many items are new or have few clicks: an id without clicks has no useful
    vector.

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

       v = E_\text{id}, \quad u = \operatorname{CausalTransformer}([h_1 + p_1, \ldots, h_L +
       p_L])_L, \quad s = u^\top v

    **Cost.** 53,760 weights with ``width=64`` in the user model and the predictor, and D per item;
    O(L² D + L D²) time per history of L clicks, per layer.

    The paper contrasts each click with one sampled item by the binary cross-entropy. Here, the
    softmax over the whole catalogue, or over 2,048 sampled items of a large one, is used, which
    ranks much better [2]_. ``loss="bce", n_negatives=1`` is the paper's loss, and ``loss="gbce"``
    that of [2]_. Positions are counted from the oldest click that is read.

    References
    ----------
    .. [1] Kang and McAuley, "Self-Attentive Sequential Recommendation", arXiv 1808.09781.
    .. [2] Petrov and Macdonald, "gSASRec: Reducing Overconfidence in Sequential Recommendation
       Trained with Negative Sampling", arXiv 2308.07192.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.SASRec(random_state=0).behavior
    Transformer(dropout=0.5)
    """
    return make(
        parameters,
        content=content.ID(),
        behavior=behavior.Transformer(2, n_heads=1, dropout=0.5),
        predictor=predictor.Dot(),
        co_clicks=False,
        learning_rate=1e-3,
    )


def GRU4Rec(**parameters: Any) -> ContentRecommender:
    r"""Build GRU4Rec, a recurrent network over the clicks [1]_.

    Use it for sessions, in which the latest clicks matter most. Items are learned vectors, and each
    click of a history is predicted from those before it. Pass ``content=content.WithID()`` to read
    the content of the items as well. The paper's vectors have size 100, which ``width=100`` gives.

    Do not use it if many items are new or have few clicks: an id without clicks has no useful
    vector.

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

       v = E_\text{id}, \quad u = \operatorname{GRU}(h_1, \ldots, h_L), \quad s = u^\top v

    **Cost.** 24,960 weights with ``width=64`` in the user model and the predictor, and D per item;
    O(L D²) time per history, L steps in sequence.

    The paper's negatives are the other clicks of the batch, and [2]_ adds sampled ones. Here, all
    items, or 2,048 items sampled by popularity, are the negatives of the softmax loss. The input
    vectors of the items are also their output vectors, as in the later experiments of [2]_.

    References
    ----------
    .. [1] Hidasi et al., "Session-based Recommendations with Recurrent Neural Networks",
       arXiv 1511.06939.
    .. [2] Hidasi and Karatzoglou, "Recurrent Neural Networks with Top-k Gains for Session-based
       Recommendations", arXiv 1706.03847.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.GRU4Rec(random_state=0).behavior
    GRU(dropout=0.2)
    """
    return make(
        parameters,
        content=content.ID(),
        behavior=behavior.GRU(dropout=0.2),
        predictor=predictor.Dot(),
        co_clicks=False,
    )
