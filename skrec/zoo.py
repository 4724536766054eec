"""Published models as ready-made recommenders.

Each function returns an unfitted :class:`skrec.ContentRecommender` with the model's three
operators. Keyword arguments go to the recommender.
"""

from __future__ import annotations

from typing import Any

from skrec import behavior, content, predictor
from skrec._recommender import ContentRecommender

__all__ = ["NAML", "NRMS"]


def NAML(**parameters: Any) -> ContentRecommender:
    """Attentive multi-view learning: convolution over words, attention over columns and clicks.

    A fast and robust choice for short texts with categories beside them.

    Parameters
    ----------
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`.

    Returns
    -------
    ContentRecommender

    References
    ----------
    .. [1] Wu et al., "Neural News Recommendation with Attentive Multi-View Learning",
       arXiv 1907.05576.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.NAML(random_state=0).content
    CNN()
    """
    operators = {
        "content": content.CNN(),
        "behavior": behavior.AdditiveAttention(),
        "predictor": predictor.Dot(),
    }
    return ContentRecommender(**{**operators, **parameters})


def NRMS(**parameters: Any) -> ContentRecommender:
    """Self-attention over words, and over clicks.

    Slower than :func:`NAML`; words and clicks are read in the light of each other.

    Parameters
    ----------
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`.

    Returns
    -------
    ContentRecommender

    References
    ----------
    .. [1] Wu et al., "Neural News Recommendation with Multi-Head Self-Attention",
       EMNLP-IJCNLP 2019.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.NRMS(random_state=0).behavior
    SelfAttention()
    """
    operators = {
        "content": content.SelfAttention(),
        "behavior": behavior.SelfAttention(),
        "predictor": predictor.Dot(),
    }
    return ContentRecommender(**{**operators, **parameters})
