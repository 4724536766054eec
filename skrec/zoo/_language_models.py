"""Models whose item vectors come from a pretrained language model."""

from __future__ import annotations

from typing import Any

from skrec import behavior, content, predictor
from skrec._recommender import ContentRecommender
from skrec.zoo._make import make

BERT = "google-bert/bert-base-uncased"


def PLMNR(model: Any = BERT, **parameters: Any) -> ContentRecommender:
    """Pretrained encoder, the last two layers of which are trained with the clicks.

    The first choice where there is a language model: texts are understood before the first click
    [1]_. The other layers run once for each item; give `memory` a path, and never again. As in the
    paper, words are pooled by attention. It pairs the encoder with several user models; this is
    the one of :func:`NRMS`.

    Parameters
    ----------
    model : str, Path or transformers.PreTrainedModel
        As in :class:`skrec.content.LanguageModel`; the paper's is BERT base.
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`.

    Returns
    -------
    ContentRecommender

    References
    ----------
    .. [1] Wu et al., "Empowering News Recommendation with Pre-trained Language Models",
       arXiv 2104.07413.

    Examples
    --------
    >>> from skrec import zoo
    >>> rec = zoo.PLMNR("sentence-transformers/all-MiniLM-L6-v2", memory="~/.cache/skrec")
    """
    return make(
        parameters,
        content=content.LanguageModel(model, trainable_layers=2, pooling="attention"),
        behavior=behavior.SelfAttention(),
        predictor=predictor.Dot(),
    )


def MINER(
    model: Any = BERT, *, category: str | None = None, **parameters: Any
) -> ContentRecommender:
    """Several interests of a user, found by context codes and weighed by the candidate.

    For users with interests that one vector would blur [1]_. 32 codes of 200 numbers read the
    clicks, a penalty of weight 0.8 on like interests keeps them apart, and each candidate weighs
    the interests for itself. The encoder's first token is the item, and all of the encoder is
    trained, which takes the longest of these models;
    ``set_params(content__trainable_layers=2)`` trains the last two layers.

    Parameters
    ----------
    model : str, Path or transformers.PreTrainedModel
        As in :class:`skrec.content.LanguageModel`; the paper's is BERT base.
    category : str, default=None
        The catalogue's column of categories, such as ``"topic"``: clicks of a category like the
        candidate's then weigh more, as in the paper. None leaves this out.
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`.

    Returns
    -------
    ContentRecommender

    References
    ----------
    .. [1] Li et al., "MINER: Multi-Interest Matching Network for News Recommendation",
       Findings of ACL 2022.

    Examples
    --------
    >>> from skrec import zoo
    >>> rec = zoo.MINER("sentence-transformers/all-MiniLM-L6-v2", category="topic")
    """
    return make(
        parameters,
        content=content.LanguageModel(model, pooling="cls"),
        behavior=behavior.PolyAttention(32, hidden=200, disagreement=0.8, category=category),
        predictor=predictor.MINER(),
    )


def ONCE(model: Any, **parameters: Any) -> ContentRecommender:
    """Large decoder with adapters in its top layers, trained with the clicks.

    The open-source half of the paper, DIRE [1]_, for models of billions of weights: the lower
    layers run once for each item, and what they compute is kept (`memory`); steps run the last two
    layers, with adapters of rank 32. Words are pooled by attention, clicks as in :func:`NAML`. The
    other half, texts that a chat model rewrites, is a matter of the catalogue that you pass.

    Parameters
    ----------
    model : str, Path or transformers.PreTrainedModel
        As in :class:`skrec.content.LanguageModel`; the paper's are LLaMA of 7 and 13 billion
        weights.
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`.

    Returns
    -------
    ContentRecommender

    References
    ----------
    .. [1] Liu et al., "ONCE: Boosting Content-based Recommendation with Both Open- and
       Closed-source Large Language Models", arXiv 2305.06566.

    Examples
    --------
    >>> from skrec import zoo
    >>> rec = zoo.ONCE("Qwen/Qwen2.5-0.5B", memory="~/.cache/skrec")
    """
    return make(
        parameters,
        content=content.LanguageModel(model, trainable_layers=2, lora=32, pooling="attention"),
        behavior=behavior.AdditiveAttention(),
        predictor=predictor.Dot(),
    )


def IISAN(model: Any = BERT, **parameters: Any) -> ContentRecommender:
    """Small blocks beside a language model that never runs in training; clicks in their order.

    As cheap as fixed vectors, and adapted all the same [1]_: for large models, and for machines
    without a GPU. The text side of the paper, with bottlenecks of 64 numbers and the SASRec that
    it trains: two causal Transformer layers over the clicks.

    Parameters
    ----------
    model : str, Path or transformers.PreTrainedModel
        As in :class:`skrec.content.SideNetwork`; the paper's is BERT base.
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`.

    Returns
    -------
    ContentRecommender

    References
    ----------
    .. [1] Fu et al., "IISAN: Efficiently Adapting Multimodal Representation for Sequential
       Recommendation with Decoupled PEFT", arXiv 2404.02059.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.IISAN("sentence-transformers/all-MiniLM-L6-v2").content
    SideNetwork(model='sentence-transformers/all-MiniLM-L6-v2')
    """
    return make(
        parameters,
        content=content.SideNetwork(model, bottleneck=64),
        behavior=behavior.Transformer(),
        predictor=predictor.Dot(),
    )
