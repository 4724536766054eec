"""Models of news recommendation that separate several interests of a user."""

from __future__ import annotations

from typing import Any

from skrec import behavior, content, predictor
from skrec._recommender import ContentRecommender
from skrec.zoo._make import make


def MINS(**parameters: Any) -> ContentRecommender:
    """Build MINS, self-attention over words and parallel GRUs over the clicks.

    Use it for sessions in which users follow several interests at the same time [1]_: the vectors
    of the clicks are cut into channels, and each channel has its own GRU. Here, a width of 64 is
    cut into 4 channels. The paper's width of 300, 6 channels and 15 attention heads over words are
    those of ``zoo.MINS(width=300).set_params(behavior__n_channels=6, content__n_heads=15)``.

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
    The GRUs have separate weights, as in the paper; in the authors' code, they share them, which
    ``behavior__shared=True`` does. Category vectors are not transformed by a linear layer and a
    ReLU. Word pieces are learned from the catalogue, where the paper uses pretrained word vectors;
    pass ``content.SelfAttention(word_vectors=...)`` to use some. See
    :class:`skrec.behavior.ParallelGRU` for the user model.

    References
    ----------
    .. [1] Wang et al., "Modeling Multi-interest News Sequence for News Recommendation",
       arXiv 2207.07331.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.MINS(random_state=0).behavior
    ParallelGRU()
    """
    return make(
        parameters,
        content=content.SelfAttention(),
        behavior=behavior.ParallelGRU(),
        predictor=predictor.Dot(),
    )
