"""Models of news recommendation that learn words from clicks."""

from __future__ import annotations

from typing import Any

from skrec import behavior, content, predictor
from skrec._recommender import ContentRecommender
from skrec.zoo._make import make


def NAML(**parameters: Any) -> ContentRecommender:
    """Attentive multi-view learning: convolution over words, attention over columns and clicks.

    A fast and robust choice for short texts with categories beside them [1]_. The paper's window
    is 3 words; its vectors have 400 numbers, which ``width=400`` gives.

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
    return make(
        parameters,
        content=content.CNN(kernel_size=3),
        behavior=behavior.AdditiveAttention(),
        predictor=predictor.Dot(),
    )


def NRMS(**parameters: Any) -> ContentRecommender:
    """Self-attention over words, and over clicks.

    Slower than :func:`NAML`; words and clicks are read in the light of each other [1]_. Heads have
    16 numbers each, as in the paper: there 16 heads make a width of 256, here 4 make one of 64.

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
    return make(
        parameters,
        content=content.SelfAttention(),
        behavior=behavior.SelfAttention(),
        predictor=predictor.Dot(),
    )


def LSTUR(**parameters: Any) -> ContentRecommender:
    """Long- and short-term interests: a GRU over the clicks that starts from the user's vector.

    For users who come back, where the order of clicks tells something [1]_. The long-term part is a
    vector learned for each `user_id` of the training rows, dropped at random in half of them, as in
    the paper; unknown users, and rows without `user_id`, have the GRU alone. Columns are read side
    by side, words in windows of 3.

    Parameters
    ----------
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`.

    Returns
    -------
    ContentRecommender

    References
    ----------
    .. [1] An et al., "Neural News Recommendation with Long- and Short-term User
       Representations", ACL 2019.

    Examples
    --------
    >>> from skrec import zoo
    >>> rec = zoo.LSTUR(max_epochs=5)
    """
    return make(
        parameters,
        content=content.CNN(fusion="concat"),
        behavior=behavior.GRU(user_embedding="ini", dropout=0.2),
        predictor=predictor.Dot(),
    )


def Fastformer(**parameters: Any) -> ContentRecommender:
    """Additive attention in place of pairs of words: self-attention in linear time.

    Over words, and over clicks [1]_. Take it in place of :func:`NRMS` where texts or histories
    are long: its time grows with their length, not with its square.

    Parameters
    ----------
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`.

    Returns
    -------
    ContentRecommender

    References
    ----------
    .. [1] Wu et al., "Fastformer: Additive Attention Can Be All You Need", arXiv 2108.09084.

    Examples
    --------
    >>> from skrec import zoo
    >>> rec = zoo.Fastformer(max_epochs=5)
    """
    return make(
        parameters,
        content=content.Fastformer(),
        behavior=behavior.Fastformer(),
        predictor=predictor.Dot(),
    )


def LateFusion(**parameters: Any) -> ContentRecommender:
    """No user model: the mean of a candidate's scores against each click.

    The simple baseline that many user models do not beat [1]_. With the dot product it is the mean
    of the clicked items' vectors, computed late; other predictors make more of it:
    ``LateFusion(predictor="cosine")``. Users have no vector, so ``transform`` raises.

    Parameters
    ----------
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`.

    Returns
    -------
    ContentRecommender

    References
    ----------
    .. [1] Iana et al., "Simplifying Content-Based Neural News Recommendation: On User Modeling
       and Training Objectives", arXiv 2304.03112.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.LateFusion(max_epochs=5).behavior
    LateFusion()
    """
    return make(
        parameters,
        content=content.CNN(),
        behavior=behavior.LateFusion(),
        predictor=predictor.Dot(),
    )
