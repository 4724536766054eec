"""Models whose item vectors come from a pretrained language model."""

from __future__ import annotations

from typing import Any

from skrec import behavior, content, predictor
from skrec._recommender import ContentRecommender
from skrec.zoo._make import make

BERT = "google-bert/bert-base-uncased"


def PLMNR(model: Any = BERT, **parameters: Any) -> ContentRecommender:
    r"""Build PLM-NR, a pretrained language model whose last two layers are trained with the clicks.

    Use it as the first model with a language model: it understands texts before it has seen any
    clicks [1]_. The lower layers run once per item. If `memory` is a folder, later fits reuse
    their output. Words are pooled by attention, as in the paper. The paper combines the language
    model with several user models. This function uses that of :func:`NRMS`.

    Do not use it if there is no GPU and training must be fast: :func:`IISAN` never runs the
    language model in training.

    Parameters
    ----------
    model : str, Path or transformers.PreTrainedModel
        Language model; see :class:`skrec.content.LanguageModel`. The paper uses BERT base.
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`. They override those of the model.

    Returns
    -------
    ContentRecommender
        Unfitted recommender.

    Notes
    -----
    .. math::

       v = W \sum_t \alpha_t \operatorname{LM}(\text{text})_t, \quad u = \sum_l \gamma_l
       \operatorname{SelfAttention}(h)_l, \quad s = u^\top v

    **Cost.** 20,864 weights with ``width=64`` in the user model and the predictor, and those of two
    layers of the language model; a step runs these two layers per item, and O(L² D + L D²) per
    history.

    References
    ----------
    .. [1] Wu et al., "Empowering News Recommendation with Pre-trained Language Models",
       arXiv 2104.07413.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.PLMNR("sentence-transformers/all-MiniLM-L6-v2").behavior
    SelfAttention()
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
    r"""Build MINER, several user vectors that each candidate weights.

    Use it when users have several interests that one vector would mix up [1]_. 32 context codes of
    size 200 attend to the clicks. A penalty with weight 0.8 keeps the user vectors different. Each
    candidate weights the scores of the user vectors. The item vector is the state of the first
    token. The whole language model is trained, which makes this the slowest model here.
    ``set_params(content__trainable_layers=2)`` trains only its last two layers.

    Do not use it if there is no GPU: each step runs and trains the whole language model.

    Parameters
    ----------
    model : str, Path or transformers.PreTrainedModel
        Language model; see :class:`skrec.content.LanguageModel`. The paper uses BERT base.
    category : str, default=None
        Name of a category column of the catalogue, such as ``"topic"``. If it is given, clicks
        whose category is similar to the candidate's get more weight, as in the paper.
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`. They override those of the model.

    Returns
    -------
    ContentRecommender
        Unfitted recommender.

    Notes
    -----
    .. math::

       v = W \operatorname{LM}(\text{text})_1, \quad u_k = \sum_l
       \operatorname{softmax}_l\left(c_k^\top \tanh(W h_l)\right) h_l, \quad s = \sum_k
       \operatorname{softmax}_k\left(u_k^\top \operatorname{gelu}(W' v)\right) u_k^\top v

    **Cost.** 23,296 weights with ``width=64`` in the user model and the predictor, and all those of
    the language model; a step runs it per item, and O(L D (D + K)) per history for K user vectors.

    References
    ----------
    .. [1] Li et al., "MINER: Multi-Interest Matching Network for News Recommendation",
       Findings of ACL 2022.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.MINER("sentence-transformers/all-MiniLM-L6-v2", category="topic").predictor
    MINER()
    """
    return make(
        parameters,
        content=content.LanguageModel(model, pooling="cls"),
        behavior=behavior.PolyAttention(32, hidden=200, disagreement=0.8, category=category),
        predictor=predictor.MINER(),
    )


def ONCE(model: Any, **parameters: Any) -> ContentRecommender:
    r"""Build ONCE, a large decoder with adapters in its top layers, trained with the clicks.

    Use it for models with billions of weights. It is DIRE, the part of the paper for open-source
    models [1]_. The lower layers run once per item, and their output is stored (see `memory`).
    Training runs only the last two layers, with adapters of rank 32. Words are pooled by attention,
    and so are clicks, as in :func:`NAML`. In the other part of the paper, a chat model rewrites the
    texts. To use it, pass a catalogue with rewritten texts.

    Do not use it if there is no GPU: use :func:`PLMNR` with a small model instead.

    Parameters
    ----------
    model : str, Path or transformers.PreTrainedModel
        Language model; see :class:`skrec.content.LanguageModel`. The paper uses LLaMA with 7 and
        13 billion weights.
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`. They override those of the model.

    Returns
    -------
    ContentRecommender
        Unfitted recommender.

    Notes
    -----
    .. math::

       v = W \sum_t \alpha_t \operatorname{LM}(\text{text})_t, \quad u = \sum_l \gamma_l h_l, \quad
       s = u^\top v

    **Cost.** 4,224 weights with ``width=64`` in the user model and the predictor, and adapters of
    rank 32 in two layers; a step runs these two layers per item, and O(L D²) per history.

    References
    ----------
    .. [1] Liu et al., "ONCE: Boosting Content-based Recommendation with Both Open- and
       Closed-source Large Language Models", arXiv 2305.06566.

    Examples
    --------
    >>> from skrec import zoo
    >>> zoo.ONCE("Qwen/Qwen2.5-0.5B", memory="~/.cache/skrec").behavior
    AdditiveAttention()
    """
    return make(
        parameters,
        content=content.LanguageModel(model, trainable_layers=2, lora=32, pooling="attention"),
        behavior=behavior.AdditiveAttention(),
        predictor=predictor.Dot(),
    )


def IISAN(model: Any = BERT, **parameters: Any) -> ContentRecommender:
    r"""Build IISAN, a small side network on a language model, and a Transformer over the clicks.

    Use it for large models, and on machines without a GPU: the language model never runs in
    training, so training costs no more than with fixed vectors, but item vectors are adapted to
    the clicks [1]_. This is the text part of the paper, with bottlenecks of size 64. As in the
    paper, the user model is SASRec, here two causal Transformer layers over the clicks.

    Do not use it if the language model must learn the words of your texts: none of its layers is
    trained.

    Parameters
    ----------
    model : str, Path or transformers.PreTrainedModel
        Language model; see :class:`skrec.content.SideNetwork`. The paper uses BERT base.
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`. They override those of the model.

    Returns
    -------
    ContentRecommender
        Unfitted recommender.

    Notes
    -----
    .. math::

       v = \operatorname{side}(\operatorname{LM}_1(\text{text}), \ldots,
       \operatorname{LM}_M(\text{text})), \quad u = \operatorname{CausalTransformer}([h_1 + p_1,
       \ldots, h_L + p_L])_L, \quad s = u^\top v

    **Cost.** 53,760 weights with ``width=64`` in the user model and the predictor, and those of the
    side network; its blocks run per item, and O(L² D + L D²) per history, per layer.

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


def UniSRec(model: Any = BERT, **parameters: Any) -> ContentRecommender:
    r"""Build UniSRec, whitened text vectors with a mixture of experts, and a causal Transformer.

    Use it when the order of the clicks matters and items have texts, above all if a model is to
    serve several catalogues [1]_: nothing in it depends on item ids. The language model is frozen
    and runs once per item. The state of its first token passes 8 linear experts, each of which
    learns a shift of its input. The user model is SASRec, two causal Transformer layers with two
    heads and a hidden size of 256. The score is a cosine with temperature 0.07. The paper's vectors
    have size 300, which ``width=300`` gives.

    Do not use it if there is one catalogue whose items have many clicks each: nothing learns a
    single item.

    Parameters
    ----------
    model : str, Path or transformers.PreTrainedModel, or None
        Language model; see :class:`skrec.content.LanguageModel`. The paper uses BERT base. None
        reads the vector columns of the catalogue instead of texts.
    **parameters : dict
        Parameters of :class:`skrec.ContentRecommender`. They override those of the model.

    Returns
    -------
    ContentRecommender
        Unfitted recommender.

    Notes
    -----
    .. math::

       v = \sum_e g_e W_e (\operatorname{LM}(\text{text})_1 - b_e), \quad u =
       \operatorname{CausalTransformer}([h_1 + p_1, \ldots, h_L + p_L])_L, \quad s = \frac{u^\top
       v}{0.07 \, \lVert u \rVert \, \lVert v \rVert}

    **Cost.** 103,296 weights with ``width=64`` in the user model and the predictor, and E S (D + 2)
    for E experts and vectors of S numbers; O(E S D) time per item, and O(L² D + L D²) per history,
    per layer.

    This is the model, not the pretraining on several catalogues with contrastive losses: it is
    trained with the recommender's `loss` on its own clicks. Layer norms come before the parts of
    the Transformer's layers, whose activation is ReLU; the authors' come after them, with GELU, and
    a layer norm and a dropout precede the layers. Positions are counted from the latest click. The
    paper's transductive variant adds id vectors: pass
    ``content=content.WithID(zoo.UniSRec(model).content)``.

    References
    ----------
    .. [1] Hou et al., "Towards Universal Sequence Representation Learning for Recommender Systems",
       arXiv 2206.05941.

    Examples
    --------
    >>> from skrec import zoo
    >>> rec = zoo.UniSRec("sentence-transformers/all-MiniLM-L6-v2", memory="~/.cache/skrec")
    >>> zoo.UniSRec(None).content
    MixtureOfExperts(noise=True)
    """
    frozen = None
    if model is not None:
        frozen = content.LanguageModel(model, trainable_layers=0, pooling="cls")
    return make(
        parameters,
        content=content.MixtureOfExperts(frozen, noise=True),
        behavior=behavior.Transformer(2, n_heads=2, hidden=256, dropout=0.5),
        predictor=predictor.Cosine(temperature=0.07),
    )
