"""Models of click-through rates, whose predictor is a network over user and item features.

In their papers, items are described by categories. Here, as in Legommenders (arXiv 2412.15973), the
item vector is the mean of an item's words, and the user vector is the mean of the clicked items.
"""

from __future__ import annotations

from typing import Any

from skrec import behavior, content, predictor
from skrec._recommender import ContentRecommender
from skrec.zoo._make import make


def over_means(parameters: dict[str, Any], network: predictor.Predictor) -> ContentRecommender:
    """Return a recommender with predictor `network` over the means of words and of clicks."""
    return make(
        parameters,
        content=content.MeanPooling(),
        behavior=behavior.MeanPooling(),
        predictor=network,
    )


def PNN(**parameters: Any) -> ContentRecommender:
    r"""Build PNN, a perceptron over inner and outer products of the user and the item.

    It is the oldest network here that multiplies features [1]_. Use it when :func:`DeepFM` is too
    simple. It has three layers of 400 units with dropout 0.5, the setting in which the DeepFM paper
    compares it.

    Do not use it if lists are drawn from a large catalogue: the network scores each pair of user
    and item.

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

       v = \operatorname{mean}_c \operatorname{mean}_t x_{c t}, \quad u = \operatorname{mean}_l h_l,
       \quad s = \operatorname{MLP}\left(\operatorname{relu}(W_z [u; v] + l_p + b)\right)

    **Cost.** 424,401 weights with ``width=64`` in the user model and the predictor, and D per word
    piece; O(T D) time per item, and the network per pair of user and item.

    References
    ----------
    .. [1] Qu et al., "Product-based Neural Networks for User Response Prediction",
       arXiv 1611.00144.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.PNN(max_epochs=5).predictor
    PNN(dropout=0.5, hidden=(400, 400, 400))
    """
    return over_means(parameters, predictor.PNN((400, 400, 400), dropout=0.5))


def DeepFM(**parameters: Any) -> ContentRecommender:
    r"""Build DeepFM, a factorization machine plus a perceptron.

    Use it as a first model of click-through rates [1]_. The factorization machine is limited to
    products of two features and needs few clicks. The perceptron learns the other interactions.
    It has three layers of 400 units with dropout 0.5.

    Do not use it if lists are drawn from a large catalogue: the network scores each pair of user
    and item.

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

       v = \operatorname{mean}_c \operatorname{mean}_t x_{c t}, \quad u = \operatorname{mean}_l h_l,
       \quad s = w^\top [u; v] + u^\top v + \operatorname{MLP}([u; v])

    **Cost.** 372,929 weights with ``width=64`` in the user model and the predictor, and D per word
    piece; O(T D) time per item, and the network per pair of user and item.

    References
    ----------
    .. [1] Guo et al., "DeepFM: A Factorization-Machine based Neural Network for CTR Prediction",
       arXiv 1703.04247.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.DeepFM(loss="bce").predictor
    DeepFM(dropout=0.5, hidden=(400, 400, 400))
    """
    return over_means(parameters, predictor.DeepFM((400, 400, 400), dropout=0.5))


def DCN(**parameters: Any) -> ContentRecommender:
    r"""Build DCN, cross layers with one weight vector each plus a perceptron.

    Use it when products of many features should cost little [1]_. It has six cross layers and a
    perceptron with two layers of 1,024 units, the best setting of the paper on Criteo.
    :func:`DCNv2` has cross layers with matrices and is better in most cases.

    Do not use it if lists are drawn from a large catalogue: the network scores each pair of user
    and item.

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

       v = \operatorname{mean}_c \operatorname{mean}_t x_{c t}, \quad u = \operatorname{mean}_l h_l,
       \quad x_0 = [u; v], \quad x_{l + 1} = x_0 (w_l^\top x_l) + b_l + x_l, \quad s = w^\top [x_6;
       \operatorname{MLP}(x_0)]

    **Cost.** 1,184,385 weights with ``width=64`` in the user model and the predictor, and D per
    word piece; O(T D) time per item, and the network per pair of user and item.

    References
    ----------
    .. [1] Wang et al., "Deep & Cross Network for Ad Click Predictions", arXiv 1708.05123.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.DCN(max_epochs=5).predictor
    DCN(hidden=(1024, 1024), n_layers=6)
    """
    return over_means(parameters, predictor.DCN(6, hidden=(1024, 1024)))


def AutoInt(**parameters: Any) -> ContentRecommender:
    r"""Build AutoInt, self-attention between features plus a perceptron.

    It learns for each row which features interact [1]_. Use it when this differs between users. It
    has three interacting layers with two heads and the perceptron of AutoInt+ with two layers of
    100 units.

    Do not use it if lists are drawn from a large catalogue: the network scores each pair of user
    and item.

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

       v = \operatorname{mean}_c \operatorname{mean}_t x_{c t}, \quad u = \operatorname{mean}_l h_l,
       \quad x = [u; v], \quad \bar x_f = \operatorname{relu}\left(\sum_g \operatorname{softmax}_g(Q
       x_f \cdot K x_g) V x_g + W x_f\right), \quad s = w^\top \bar x + \operatorname{MLP}(x)

    **Cost.** 72,381 weights with ``width=64`` in the user model and the predictor, and D per word
    piece; O(T D) time per item, and the network per pair of user and item.

    References
    ----------
    .. [1] Song et al., "AutoInt: Automatic Feature Interaction Learning via Self-Attentive Neural
       Networks", arXiv 1810.11921.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.AutoInt(max_epochs=5).predictor
    AutoInt(hidden=(100, 100))
    """
    return over_means(parameters, predictor.AutoInt(3, n_heads=2, hidden=(100, 100)))


def DCNv2(**parameters: Any) -> ContentRecommender:
    r"""Build DCN V2, cross layers with full matrices plus a perceptron.

    Use it as a strong baseline for click-through rates [1]_. It has two cross layers and a
    perceptron with two layers of 768 units. The paper searches among such sizes.

    Do not use it if lists are drawn from a large catalogue: the network scores each pair of user
    and item.

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

       v = \operatorname{mean}_c \operatorname{mean}_t x_{c t}, \quad u = \operatorname{mean}_l h_l,
       \quad x_0 = [u; v], \quad x_{l + 1} = x_0 * (W_l x_l + b_l) + x_l, \quad s = w^\top [x_2;
       \operatorname{MLP}(x_0)]

    **Cost.** 723,585 weights with ``width=64`` in the user model and the predictor, and D per word
    piece; O(T D) time per item, and the network per pair of user and item.

    References
    ----------
    .. [1] Wang et al., "DCN V2: Improved Deep & Cross Network and Practical Lessons for Web-scale
       Learning to Rank Systems", arXiv 2008.13535.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.DCNv2(max_epochs=5).predictor
    DCNv2(hidden=(768, 768), n_layers=2)
    """
    return over_means(parameters, predictor.DCNv2(2, hidden=(768, 768)))


def MaskNet(**parameters: Any) -> ContentRecommender:
    r"""Build MaskNet, blocks that multiply features by masks computed from each row.

    Use it when many clicks are available: it forms products inside the perceptron instead of next
    to it [1]_. It has five parallel blocks, as in the paper, and a perceptron with three layers of
    400 units that reads their outputs.

    Do not use it if lists are drawn from a large catalogue: the network scores each pair of user
    and item.

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

       v = \operatorname{mean}_c \operatorname{mean}_t x_{c t}, \quad u = \operatorname{mean}_l h_l,
       \quad x_0 = [u; v], \quad \operatorname{block}(h) =
       \operatorname{relu}\left(\operatorname{norm}(W (\operatorname{mask}(x_0) * h))\right), \quad
       s = \operatorname{MLP}([\operatorname{block}_1(x_0); \ldots; \operatorname{block}_5(x_0)])

    **Cost.** 821,057 weights with ``width=64`` in the user model and the predictor, and D per word
    piece; O(T D) time per item, and the network per pair of user and item.

    References
    ----------
    .. [1] Wang et al., "MaskNet: Introducing Feature-Wise Multiplication to CTR Ranking Models by
       Instance-Guided Mask", arXiv 2102.07619.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.MaskNet(max_epochs=5).predictor
    MaskNet(hidden=(400, 400, 400), n_blocks=5)
    """
    return over_means(parameters, predictor.MaskNet(5, hidden=(400, 400, 400)))


def GDCN(**parameters: Any) -> ContentRecommender:
    r"""Build GDCN, gated cross layers plus a perceptron.

    Use it when :func:`DCNv2` needs more cross layers: a gate in each of them passes only useful
    products [1]_. It has three cross layers and a perceptron with three layers of 400 units.

    Do not use it if lists are drawn from a large catalogue: the network scores each pair of user
    and item.

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

       v = \operatorname{mean}_c \operatorname{mean}_t x_{c t}, \quad u = \operatorname{mean}_l h_l,
       \quad x_0 = [u; v], \quad x_{l + 1} = x_0 * (W_l x_l + b_l) * \sigma(G_l x_l) + x_l, \quad s
       = w^\top [x_3; \operatorname{MLP}(x_0)]

    **Cost.** 471,617 weights with ``width=64`` in the user model and the predictor, and D per word
    piece; O(T D) time per item, and the network per pair of user and item.

    References
    ----------
    .. [1] Wang et al., "Towards Deeper, Lighter and Interpretable Cross Network for CTR
       Prediction", arXiv 2311.04635.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.GDCN(max_epochs=5).predictor
    GDCN(hidden=(400, 400, 400))
    """
    return over_means(parameters, predictor.GDCN(3, hidden=(400, 400, 400)))


def FinalMLP(**parameters: Any) -> ContentRecommender:
    r"""Build FinalMLP, two perceptrons joined by a bilinear product.

    One perceptron reads features selected by the user, the other features selected by the item
    [1]_. Use it when many clicks are available: it is simple and hard to beat. Each perceptron has
    three layers of 400 units, and the bilinear product has ten heads.

    Do not use it if lists are drawn from a large catalogue: the network scores each pair of user
    and item.

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

       v = \operatorname{mean}_c \operatorname{mean}_t x_{c t}, \quad u = \operatorname{mean}_l h_l,
       \quad x_0 = [u; v], \quad o = \operatorname{MLP}_1(g_1(u) * x_0), \quad p =
       \operatorname{MLP}_2(g_2(v) * x_0), \quad s = b + w^\top o + w'^\top p + \sum_h o_h^\top W_h
       p_h

    **Cost.** 786,561 weights with ``width=64`` in the user model and the predictor, and D per word
    piece; O(T D) time per item, and the network per pair of user and item.

    References
    ----------
    .. [1] Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction",
       arXiv 2304.00902.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.FinalMLP(max_epochs=5).predictor
    FinalMLP(hidden=(400, 400, 400), n_heads=10)
    """
    return over_means(parameters, predictor.FinalMLP((400, 400, 400), n_heads=10))
