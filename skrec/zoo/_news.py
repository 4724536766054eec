"""Models of news recommendation that learn word vectors from clicks."""

from __future__ import annotations

from typing import Any

from skrec import behavior, content, predictor
from skrec._recommender import ContentRecommender
from skrec.zoo._make import make


def NAML(**parameters: Any) -> ContentRecommender:
    r"""Build NAML, a convolution over words and attention over columns and clicks.

    Use it for short texts with additional category columns: it is fast and robust [1]_. The
    convolution combines 3 words, as in the paper. The paper's vectors have size 400, which
    ``width=400`` gives.

    Do not use it if the meaning depends on words that are far apart: the convolution sees 3
    neighbors.

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

       v = \sum_c \alpha_c \sum_t \beta_{c t} \operatorname{relu}\left(\sum_k W_k x_{c, t + k} +
       b\right), \quad u = \sum_l \gamma_l h_l, \quad s = u^\top v

    **Cost.** 4,224 weights with ``width=64`` in the user model and the predictor, and the vectors
    of the word pieces and those of the convolution; O(T K D²) time per item with T word pieces and
    a kernel of K, and O(L D²) per history of L clicks.

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
    r"""Build NRMS, self-attention over words and over clicks.

    Use it when the meaning of a word or click depends on the others [1]_. It is slower than
    :func:`NAML`. Each head has size 16, as in the paper: the paper has 16 heads and a width of 256,
    and the defaults here are 4 heads and a width of 64.

    Do not use it if texts or histories are long: the time of self-attention is quadratic in their
    length. :func:`Fastformer` is linear.

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

       v = \sum_c \alpha_c \sum_t \beta_{c t} \operatorname{SelfAttention}(x_c)_t, \quad u = \sum_l
       \gamma_l \operatorname{SelfAttention}(h)_l, \quad s = u^\top v

    **Cost.** 20,864 weights with ``width=64`` in the user model and the predictor, and those of the
    texts; O(T² D + T D²) time per item with T word pieces, and O(L² D + L D²) per history of L
    clicks.

    The self-attention differs from the paper in three points: its scores are divided by the square
    root of the head size, its projections have biases, and the outputs of the heads are mixed by a
    final linear layer [2]_. Word pieces are learned from the catalogue, where the paper uses
    pretrained word vectors; pass ``content.SelfAttention(word_vectors=...)`` to use some.

    References
    ----------
    .. [1] Wu et al., "Neural News Recommendation with Multi-Head Self-Attention",
       EMNLP-IJCNLP 2019.
    .. [2] Vaswani et al., "Attention Is All You Need", arXiv 1706.03762.

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
    r"""Build LSTUR, a GRU over the clicks that starts from a learned vector of the user.

    Use it for returning users, when the order of the clicks matters [1]_. The GRU models short-term
    interests. A vector per `user_id` of the training rows models long-term interests. As in the
    paper, it is set to zero for a random half of the rows in training. Unknown users and rows
    without `user_id` use the GRU alone. Words are read in windows of 3, and the vectors of the
    columns are concatenated.

    Do not use it if most users are new: they have no vector, and the GRU alone serves them.

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

       v = W [v_1; \ldots; v_c], \quad u = \operatorname{GRU}(h_1, \ldots, h_L; s_0 =
       e_\text{user}), \quad s = u^\top v

    **Cost.** 24,960 weights with ``width=64`` in the user model and the predictor, and D per known
    user, and those of the texts; O(T K D²) time per item, and O(L D²) per history, L steps in
    sequence.

    References
    ----------
    .. [1] An et al., "Neural News Recommendation with Long- and Short-term User
       Representations", ACL 2019.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.LSTUR(max_epochs=5).behavior
    GRU(dropout=0.2, user_embedding='ini')
    """
    return make(
        parameters,
        content=content.CNN(fusion="concat"),
        behavior=behavior.GRU(user_embedding="ini", dropout=0.2),
        predictor=predictor.Dot(),
    )


def NPA(**parameters: Any) -> ContentRecommender:
    r"""Build NPA, attention over the clicks whose query depends on the user.

    Use it for returning users: a learned embedding per `user_id` of the training rows decides which
    clicks are informative about the user [1]_. Embeddings have size 50 and queries size 200.
    Unknown users share one query. Words are read in windows of 3, as in :func:`NAML`. The paper's
    vectors have size 400, which ``width=400`` gives.

    Do not use it if most users are new: all of them share one query.

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

       v = \sum_c \alpha_c \sum_t \beta_{c t} \operatorname{relu}\left(\sum_k W_k x_{c, t + k} +
       b\right), \quad u = \sum_l \operatorname{softmax}_l\left(h_l^\top q(e_\text{user})\right)
       h_l, \quad s = u^\top v

    **Cost.** 13,064 weights with ``width=64`` in the user model and the predictor, and 50 per known
    user, and those of the texts; O(T K D²) time per item, and O(L D) per history.

    In the paper, the attention over words also depends on the user, so each user has other item
    vectors. Here, all users share the learned query of the attention over words. Item vectors
    therefore depend on the item only and are computed once.

    References
    ----------
    .. [1] Wu et al., "NPA: Neural News Recommendation with Personalized Attention",
       arXiv 1907.05559.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.NPA(random_state=0).behavior
    PersonalizedAttention(dropout=0.2)
    """
    return make(
        parameters,
        content=content.CNN(kernel_size=3, dropout=0.2),
        behavior=behavior.PersonalizedAttention(dropout=0.2),
        predictor=predictor.Dot(),
    )


def TANR(*, category: str | None = None, **parameters: Any) -> ContentRecommender:
    r"""Build TANR, which also learns to predict the topic of an item from its text.

    Use it if items have a category and few clicks: the categories of all items teach the words
    [1]_. The model is :func:`NAML` over all columns except the category, plus a linear layer that
    predicts the category. Its cross-entropy has the weight 0.2 in the loss. The paper reads titles
    only, and its vectors have size 400, which ``width=400`` gives.

    Do not use it if the category itself tells what users click: it is predicted and not read.

    Parameters
    ----------
    category : str, default=None
        Name of the category column that is predicted. None uses the first one.
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`. They override those of the model.

    Returns
    -------
    ContentRecommender
        Unfitted recommender.

    Notes
    -----
    .. math::

       v = \sum_c \alpha_c \sum_t \beta_{c t} \operatorname{relu}\left(\sum_k W_k x_{c, t + k} +
       b\right), \quad u = \sum_l \gamma_l h_l, \quad s = u^\top v, \quad \text{loss} =
       \text{loss}_\text{clicks} + 0.2 \, \operatorname{crossentropy}(W v, \text{topic})

    **Cost.** 4,224 weights with ``width=64`` in the user model and the predictor, and those of the
    texts and D per topic; O(T K D²) time per item, and O(L D²) per history.

    Each distinct item of a batch counts once in the cross-entropy. In the paper, it counts once per
    occurrence. Word pieces are learned from the catalogue, where the paper uses pretrained word
    vectors.

    References
    ----------
    .. [1] Wu et al., "Neural News Recommendation with Topic-Aware News Representation", ACL 2019.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.TANR(category="topic").content
    TopicAware(category='topic', operator=CNN(dropout=0.2))
    """
    return make(
        parameters,
        content=content.TopicAware(content.CNN(kernel_size=3, dropout=0.2), category=category),
        behavior=behavior.AdditiveAttention(),
        predictor=predictor.Dot(),
    )


def Fastformer(**parameters: Any) -> ContentRecommender:
    r"""Build Fastformer, additive attention in linear time over words and over clicks.

    Use it instead of :func:`NRMS` for long texts or histories [1]_: its time is linear in their
    length, while that of self-attention is quadratic.

    Do not use it if texts and histories are short: :func:`NAML` has fewer weights.

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

       v = \operatorname{pool}(\operatorname{Fastformer}(x)), \quad u =
       \operatorname{pool}(\operatorname{Fastformer}(h)), \quad s = u^\top v

    **Cost.** 46,720 weights with ``width=64`` in the user model and the predictor, and those of the
    texts; O(T D²) time per item with T word pieces, and O(L D²) per history of L clicks.

    References
    ----------
    .. [1] Wu et al., "Fastformer: Additive Attention Can Be All You Need", arXiv 2108.09084.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.Fastformer(max_epochs=5).behavior
    Fastformer()
    """
    return make(
        parameters,
        content=content.Fastformer(),
        behavior=behavior.Fastformer(),
        predictor=predictor.Dot(),
    )


def LateFusion(**parameters: Any) -> ContentRecommender:
    r"""Build a model without a user encoder, which averages the scores against each click.

    Use it as a simple baseline that many user models do not beat [1]_. With the dot product, the
    score equals that of the mean of the clicked items. Other predictors differ from the mean, for
    example ``LateFusion(predictor="cosine")``. Users have no vector, so ``transform`` raises an
    error.

    Do not use it if recent clicks matter more than old ones: all clicks count the same.

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

       v = \sum_c \alpha_c \sum_t \beta_{c t} \operatorname{relu}\left(\sum_k W_k x_{c, t + k} +
       b\right), \quad s = \frac{1}{L} \sum_l h_l^\top v

    **Cost.** No weights in the user model and the predictor, and those of the texts; O(T K D²) time
    per item, and O(L D) per pair of user and item.

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
