"""Models of news recommendation that separate several interests of a user."""

from __future__ import annotations

from typing import Any

from skrec import behavior, content, predictor
from skrec._recommender import ContentRecommender
from skrec.zoo._make import make


def MINS(**parameters: Any) -> ContentRecommender:
    r"""Build MINS, self-attention over words and parallel GRUs over the clicks.

    Use it for sessions in which users follow several interests at the same time [1]_: the vectors
    of the clicks are cut into channels, and each channel has its own GRU. Here, a width of 64 is
    cut into 4 channels. The paper's width of 300, 6 channels and 15 attention heads over words are
    those of ``zoo.MINS(width=300).set_params(behavior__n_channels=6, content__n_heads=15)``.

    Do not use it if training time matters: the clicks are read one after another.

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

       v = \sum_c \alpha_c \sum_t \beta_{c t} \operatorname{SelfAttention}(x_c)_t, \quad z =
       \operatorname{SelfAttention}(h), \quad u = [\operatorname{GRU}_1(z^{(1)}); \ldots;
       \operatorname{GRU}_4(z^{(4)})], \quad s = u^\top v

    **Cost.** 23,168 weights with ``width=64`` in the user model and the predictor, and those of the
    texts; O(T² D + T D²) time per item, and O(L² D + L D²) per history, L steps in sequence.

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


def CAUM(**parameters: Any) -> ContentRecommender:
    r"""Build CAUM, self-attention and convolution over the clicks that read the candidate.

    Use it to rank short lists when users have several interests and the order of the clicks matters
    [1]_: each part of the user model reads the candidate. Words are read by self-attention, and the
    vectors of the columns are concatenated. Each head has size 16 here and 20 in the paper, whose
    vectors have size 400: ``zoo.CAUM(width=400).set_params(behavior__n_heads=20)``. Users have no
    vector, so ``transform`` raises an error.

    Do not use it if lists are drawn from a large catalogue: the user model runs again for each
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

       v = W [v_1; \ldots; v_c], \quad u(v) = \sum_l \beta_l(v) \, z_l(v), \quad s = u(v)^\top v

    **Cost.** 199,888 weights with ``width=64`` in the user model and the predictor, and those of
    the texts; O(T² D + T D²) time per item, and O(L (L + D) D) per candidate.

    Entities of the texts are not read, unless the catalogue has a column of them. The
    self-attention over words has a final linear layer. See
    :class:`skrec.behavior.CandidateSelfAttention` for the user model.

    References
    ----------
    .. [1] Qi et al., "News Recommendation with Candidate-aware User Modeling", arXiv 2204.04726.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.CAUM(max_epochs=5).behavior
    CandidateSelfAttention(hidden=(400, 256))
    """
    return make(
        parameters,
        content=content.SelfAttention(fusion="concat"),
        behavior=behavior.CandidateSelfAttention(hidden=(400, 256)),
        predictor=predictor.Dot(),
    )


def CROWN(**parameters: Any) -> ContentRecommender:
    r"""Build CROWN, intents of texts guided by categories, and a graph of the user and the clicks.

    Use it for items with a title, another text and categories [1]_: 3 intents per text are
    separated with the help of the categories, and the second text counts in so far as it agrees
    with the title. The category is also predicted from the intents of the title, with the weight
    0.3 in the loss. The feed-forward part of the Transformer layer over words has size 512, and
    queries over clicks have size 200. Each head has size 16 here and 30 in the paper, whose vectors
    have size 400.

    Do not use it if items have no category: nothing guides the intents then, and :func:`NAML` has
    fewer weights.

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

       z_j = \operatorname{layer}_j([x; c]), \quad v = \sum_j \alpha_j z_j, \quad u =
       \operatorname{pool}(\operatorname{graph}(u_0, h_1, \ldots, h_L)), \quad s = u^\top v

    **Cost.** 34,120 weights with ``width=64`` in the user model and the predictor, and those of the
    texts; O(T² D + T D²) time per item, and O(L D²) per history.

    Each distinct item of a batch counts once in the cross-entropy of the categories. Each user has
    a graph of their own, while the paper has one per batch. See
    :class:`skrec.content.Intents` and :class:`skrec.behavior.BipartiteGraph` for other differences.

    References
    ----------
    .. [1] Ko et al., "CROWN: A Novel Approach to Comprehending Users' Preferences for Accurate
       Personalized News Recommendation", arXiv 2310.09401.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.CROWN(random_state=0).content
    Intents(hidden=512)
    """
    return make(
        parameters,
        content=content.Intents(n_intents=3, hidden=512),
        behavior=behavior.BipartiteGraph(hidden=200),
        predictor=predictor.Dot(),
    )
