"""Models of click-through rates: user and item meet in a network.

Their papers know items by categories. Texts are given to them as in Legommenders
(arXiv 2412.15973): the mean of an item's words is the item, the mean of the clicks the user.
"""

from __future__ import annotations

from typing import Any

from skrec import behavior, content, predictor
from skrec._recommender import ContentRecommender
from skrec.zoo._make import make


def over_means(parameters: dict[str, Any], network: predictor.Predictor) -> ContentRecommender:
    """Return a recommender with a network over the means of words and clicks."""
    return make(
        parameters,
        content=content.MeanPooling(),
        behavior=behavior.MeanPooling(),
        predictor=network,
    )


def PNN(**parameters: Any) -> ContentRecommender:
    """Inner and outer products of user and item, then a perceptron.

    The oldest of the networks that multiply before they add [1]_; take it where :func:`DeepFM`
    looks too plain. Three layers of 400 with dropout 0.5, as the DeepFM paper compares it.

    Parameters
    ----------
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`.

    Returns
    -------
    ContentRecommender

    References
    ----------
    .. [1] Qu et al., "Product-based Neural Networks for User Response Prediction",
       arXiv 1611.00144.

    Examples
    --------
    >>> from skrec import zoo
    >>> rec = zoo.PNN(max_epochs=5)
    """
    return over_means(parameters, predictor.PNN((400, 400, 400), dropout=0.5))


def DeepFM(**parameters: Any) -> ContentRecommender:
    """Factorisation machine beside a perceptron.

    A good first model of click-through rates [1]_: the machine keeps to products of two features,
    which few clicks can teach, the perceptron looks for the rest. Three layers of 400 with dropout
    0.5.

    Parameters
    ----------
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`.

    Returns
    -------
    ContentRecommender

    References
    ----------
    .. [1] Guo et al., "DeepFM: A Factorization-Machine based Neural Network for CTR Prediction",
       arXiv 1703.04247.

    Examples
    --------
    >>> from skrec import zoo
    >>> rec = zoo.DeepFM(loss="bce")
    """
    return over_means(parameters, predictor.DeepFM((400, 400, 400), dropout=0.5))


def DCN(**parameters: Any) -> ContentRecommender:
    """Cross layers of one vector each, beside a perceptron.

    Cheap products of many features [1]_. Six cross layers beside two layers of 1,024, the paper's
    best on Criteo. :func:`DCNv2` crosses by matrices and is mostly better.

    Parameters
    ----------
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`.

    Returns
    -------
    ContentRecommender

    References
    ----------
    .. [1] Wang et al., "Deep & Cross Network for Ad Click Predictions", arXiv 1708.05123.

    Examples
    --------
    >>> from skrec import zoo
    >>> rec = zoo.DCN(max_epochs=5)
    """
    return over_means(parameters, predictor.DCN(6, hidden=(1024, 1024)))


def AutoInt(**parameters: Any) -> ContentRecommender:
    """Self-attention among features, beside a perceptron.

    Which features go together is learned for each row [1]_; take it where crosses differ from user
    to user. Three layers of two heads, and the perceptron of AutoInt+ with two layers of 100.

    Parameters
    ----------
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`.

    Returns
    -------
    ContentRecommender

    References
    ----------
    .. [1] Song et al., "AutoInt: Automatic Feature Interaction Learning via Self-Attentive Neural
       Networks", arXiv 1810.11921.

    Examples
    --------
    >>> from skrec import zoo
    >>> rec = zoo.AutoInt(max_epochs=5)
    """
    return over_means(parameters, predictor.AutoInt(3, n_heads=2, hidden=(100, 100)))


def DCNv2(**parameters: Any) -> ContentRecommender:
    """Cross layers of full matrices, beside a perceptron.

    The strong standard among networks for click-through rates [1]_. Two cross layers beside two
    layers of 768; the paper searches among such sizes.

    Parameters
    ----------
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`.

    Returns
    -------
    ContentRecommender

    References
    ----------
    .. [1] Wang et al., "DCN V2: Improved Deep & Cross Network and Practical Lessons for Web-scale
       Learning to Rank Systems", arXiv 2008.13535.

    Examples
    --------
    >>> from skrec import zoo
    >>> rec = zoo.DCNv2(max_epochs=5)
    """
    return over_means(parameters, predictor.DCNv2(2, hidden=(768, 768)))


def MaskNet(**parameters: Any) -> ContentRecommender:
    """Masked perceptron blocks: each row makes the masks that multiply what they read.

    Products inside of the perceptron in place of beside it [1]_; wants many clicks. Five blocks
    side by side, as in the paper, and three layers of 400 that read them.

    Parameters
    ----------
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`.

    Returns
    -------
    ContentRecommender

    References
    ----------
    .. [1] Wang et al., "MaskNet: Introducing Feature-Wise Multiplication to CTR Ranking Models by
       Instance-Guided Mask", arXiv 2102.07619.

    Examples
    --------
    >>> from skrec import zoo
    >>> rec = zoo.MaskNet(max_epochs=5)
    """
    return over_means(parameters, predictor.MaskNet(5, hidden=(400, 400, 400)))


def GDCN(**parameters: Any) -> ContentRecommender:
    """Gated cross layers, beside a perceptron.

    :func:`DCNv2` with a gate in each cross layer that lets useful products pass [1]_, so that more
    layers can be stacked. Three of them, beside three layers of 400.

    Parameters
    ----------
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`.

    Returns
    -------
    ContentRecommender

    References
    ----------
    .. [1] Wang et al., "Towards Deeper, Lighter and Interpretable Cross Network for CTR
       Prediction", arXiv 2311.04635.

    Examples
    --------
    >>> from skrec import zoo
    >>> rec = zoo.GDCN(max_epochs=5)
    """
    return over_means(parameters, predictor.GDCN(3, hidden=(400, 400, 400)))


def FinalMLP(**parameters: Any) -> ContentRecommender:
    """Two perceptrons, joined by a bilinear product.

    One looks at features that the user chooses, one at features that the item chooses [1]_.
    Simple, and hard to beat where clicks are many. Three layers of 400 each, joined by ten heads.

    Parameters
    ----------
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`.

    Returns
    -------
    ContentRecommender

    References
    ----------
    .. [1] Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction",
       arXiv 2304.00902.

    Examples
    --------
    >>> from skrec import zoo
    >>> rec = zoo.FinalMLP(max_epochs=5)
    """
    return over_means(parameters, predictor.FinalMLP((400, 400, 400), n_heads=10))
