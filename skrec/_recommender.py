"""The estimator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from functools import cache, partial
from typing import Any, Self

import numpy as np
import pyarrow as pa
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skrec import _saving as saving
from skrec._common.locks import lock_of
from skrec._common.random import TorchGenerator
from skrec._common.status import StatusLine
from skrec._common.threads import limited_threads
from skrec._data.co_clicks import with_zeros
from skrec._data.context import ContextFeatures
from skrec._data.explode import labeled_pairs
from skrec._data.items import Items
from skrec._inference.frames import output_library
from skrec._inference.item_vectors import EncodedItems
from skrec._inference.prior import Prior
from skrec._inference.ranker import monitored
from skrec._inference.removed import removed_codes
from skrec._inference.scorer import Scorer
from skrec._item_verbs import ItemVerbs
from skrec._network import Network
from skrec._training.checkpoint import Checkpoint, keeping
from skrec._training.fit import Validation, build_network, calibrate, run_epochs
from skrec._training.from_log import FitRows, read_rows
from skrec._training.one_epoch import train_one_epoch
from skrec._training.parameters import refuse_nested_on_alias
from skrec._training.prior import choose_prior, fit_terms
from skrec._training.processes import Processes, launched_processes, resolve_device
from skrec._training.progress import ProgressReporter
from skrec._training.restored import restored_state
from skrec._training.shared_scorer import shared
from skrec._training.start import items_by_keyword, read_inputs
from skrec._training.state import TrainingState
from skrec._training.summary import compare_with_popularity, describe_data
from skrec._training.trained_copy import copy_to_train, course, start_training, take_over
from skrec._training.view import recommender_view, visual_block
from skrec._verbs import RankingVerbs
from skrec.baselines._saved import SAVED
from skrec.behavior import BehaviorOperator
from skrec.content import ContentOperator, Resources, base_at
from skrec.content._side import reader_of
from skrec.predictor import Predictor


class ContentRecommender(
    CallbackSupportMixin, RankingVerbs, ItemVerbs, ClassifierMixin, TransformerMixin, BaseEstimator
):
    """Recommend items by their content, learned from clicks.

    Three parts are trained together. The content operator turns the columns of an item into an
    item vector. The behavior operator turns the vectors of the clicked items into a user vector.
    The predictor scores candidate items for a user. Items are represented by their content and
    users by their histories, so the model can recommend new items and serve new users without
    retraining.

    Parameters
    ----------
    content : content operator or alias, default="auto"
        Turns the columns of an item into an item vector; see :mod:`skrec.content`. "auto" is
        ``WithID(MeanPooling())`` for bare histories, ``MeanPooling()`` for other X, and ``ID()`` if
        the catalogue has no columns.
    behavior : behavior operator or alias, default="auto"
        Turns clicked items into a user vector; see :mod:`skrec.behavior`. "auto" is
        ``MovingAverages()``.
    predictor : predictor or alias, default="auto"
        Scores a candidate item for a user; see :mod:`skrec.predictor`. "auto" is ``Dot()`` for bare
        histories, and ``Dot(item_bias=True)`` for other X.
    width : int, default=64
        Size of item vectors and user vectors.
    max_history : int, default=50
        Maximum number of clicks used per history. Older clicks are ignored.
    loss : {"softmax", "bpr", "bce", "gbce"}, default=None
        Loss function. "softmax" is the cross-entropy of each click against `n_negatives`
        candidates of the same impression that were not clicked; missing negatives are sampled
        from the catalogue. "bpr" compares the same candidates with the click pair by pair [2]_.
        "bce" is the binary cross-entropy of each candidate. "gbce" is that of the click and its
        negatives, with the click weighted down by the share of items that are no negatives [4]_.
        None selects "bce" for pairs without
        `impression_id` and "softmax" for all other inputs.
    n_negatives : int, "all" or "auto", default="auto"
        Number of negatives per click. Sampled negatives are shared by all rows of a batch, so
        large values cost little. "all" compares clicks with the whole catalogue; a click of an
        impression is compared with all items that were shown with it, if there are any. "auto" is
        "all" up to 4,000 items and 2,048 otherwise, if `history_targets` is "all" and the content
        operator and the predictor are fast. It is 64 for bare histories if they are slow, and 4
        otherwise. With ``negative_sampling="in_batch"`` or `n_hard_negatives`, it is never "all".
        Ignored if ``loss="bce"``, except for `history_targets`.
    negative_sampling : {"uniform", "popularity", "in_batch", "auto"}, default="auto"
        Distribution from which negatives are sampled. The clicks and the history of a row are
        never sampled as its negatives. With "popularity", the probability of an item is
        proportional to its number of clicks in the training rows plus one, and the "softmax"
        loss subtracts the log-probabilities of sampled items from their scores (logQ correction
        [3]_). With "in_batch", the clicks of the other rows of the batch are the negatives of a
        row, with the same correction. A row has at most `n_negatives` of them; if the batch has
        fewer, the others are sampled by popularity. Use it if items are expensive to encode.
        "auto" is "popularity" if `history_targets` is "all", and "uniform" otherwise.
    n_hard_negatives : int, default=0
        Number of hard negatives per click, in addition to `n_negatives`: the items with the most
        similar vectors, found anew before each epoch. Likely positives are spared: items with a
        cosine above .95, and items that go together with the click in the training rows [5]_. The
        "softmax" loss counts a hard negative once; a sampled one stands for many items. Each epoch
        encodes the catalogue, and compares the clicked items with all items.
    history_targets : int, "all" or "auto", default="auto"
        Number of additional next-click targets drawn from inside each history. They teach the
        order of clicks and work best with many negatives. For bare histories, they are added to
        the one default target per row. "all" makes each click of a history a target, in one pass
        over the history if the behavior operator is causal; see
        :class:`~skrec.behavior.BehaviorOperator`. "auto" is "all" if the behavior operator is
        causal, the loss is "softmax", and X has bare histories or the content operator and the
        predictor are fast, as operators are that only look up or average vectors, and predictors
        that are dot products. Otherwise it is 0.
    co_clicks : bool or "auto", default="auto"
        Whether scores also contain which items go together in histories and, for bare histories,
        how popular items are; see Notes. It needs ``loss="softmax"``. "auto" is True for bare
        histories with this loss, and for other X where "auto" would make `history_targets` "all".
    context : {"warn", "auto", None}, list of str, or transformer, default="warn"
        Columns of X that describe the user or the moment, such as the device or the hour. They move
        the user vector; see the guide page "Context". "auto" uses all columns of single values that
        are no ids or labels. A list names columns. A scikit-learn transformer is fitted on the
        DataFrame of X. None and "warn" use no context; "warn" names the unused columns of X.
    context_fields : bool, default=False
        Whether the predictor reads the context as a field of its own, instead of as a part of the
        user vector. It needs a predictor that is a network, such as ``MLP()``.
    learning_rate : float or "auto", default="auto"
        Learning rate of the AdamW optimizer. "auto" is 0.005 if "auto" makes `history_targets`
        "all" and the content operator and the predictor are fast, and 0.003 otherwise.
    pretrained_learning_rate : float, default=1e-4
        Learning rate of pretrained modules, such as a language model. If only one layer of a small
        model is trained, 1e-3 is better; see the guide page "Language models".
    weight_decay : float, default=0.0
        Weight decay of the AdamW optimizer. Biases and the weights of norms do not decay.
    lr_schedule : {"constant", "linear", "cosine"}, default="constant"
        How the learning rate falls from its value to 0 over `max_epochs`. `partial_fit` counts
        each call as the first epoch.
    warmup_fraction : float, default=0.0
        Fraction of the steps of `max_epochs` in which the learning rate rises linearly to its
        value.
    max_grad_norm : float, default=None
        Largest norm of all gradients together; larger ones are scaled down. None does not scale.
    gradient_accumulation_steps : int, default=1
        Number of batches whose gradients are averaged before the weights change. Use it where
        larger batches do not fit into memory.
    batch_size : int or "auto", default="auto"
        Number of clicks per optimizer step; with ``loss="bce"``, number of candidates per step,
        and with bare histories and ``history_targets="all"``, number of histories. "auto" is 64.
        For bare histories whose clicks are all targets, it is a fortieth of their number, but at
        least 16 and at most 128.
    max_epochs : int, default=20
        Maximum number of epochs.
    early_stopping : bool, default=True
        Whether to stop training when the validation score no longer improves, and to keep the
        weights of the best epoch. If False, the model trains on all rows for `max_epochs`.
    validation_fraction : float, default=0.1
        Fraction of impressions that is held out for validation. Of bare histories, only the last
        click is held out. The latest impressions are held
        out if X has a `time` column, random ones otherwise. If histories without times continue
        in each other, such as sliding prefixes of one log, their ends are held out. Ignored if
        `early_stopping` is False.
    n_iter_no_change : int, default=3
        Number of epochs without improvement after which training stops. Ignored if
        `early_stopping` is False.
    scoring : str, default="gauc"
        Metric of `score` and of early stopping; see :mod:`skrec.metrics`. For bare histories, it
        is computed from the rank of the last click among all items of the catalogue, and must be
        a metric of rankings, such as "gauc" or "recall@20". For pairs without `impression_id`,
        metrics of rankings are replaced by "auc".
    calibration : {"sigmoid", None}, default="sigmoid"
        How scores become probabilities. "sigmoid" fits ``sigmoid(a * score + b)`` to the held-out
        rows. Probabilities are not calibrated (a is 1 and b is 0) if this is None, if
        `early_stopping` is False, or if X holds bare histories. Calibration does not change the
        ranking.
    unknown_items : {"raise", "ignore"}, default="raise"
        What to do with ids that are missing from the catalogue. "raise" raises an error. "ignore"
        drops them from histories and, in `fit`, from candidates; the catalogue must then be
        passed as an ``Items``.
    memory : str or Path, default=None
        Folder in which language models store hidden states that are computed once per item.
        Estimators and processes that use the same folder share these states. If None, they are
        deleted with the fitted estimator. Ignored by other operators. See :mod:`skrec.cache`.
    device : str or torch.device, default=None
        Device of the computation. None selects a CUDA GPU if there is one, and the CPU otherwise.
    processes : {"auto", None}, default="auto"
        With "auto", processes that torchrun started, or that initialized ``torch.distributed``,
        train one model together: all call `fit` with the same arguments, and each takes a share of
        the rows of a step. Workers of a search train alone. With None, each process trains alone.
    precision : {"auto", "float32", "float64", "bfloat16", "float16"}, default="auto"
        Floating-point type. "auto" is "float32". With "bfloat16" and "float16", weights are
        float32 and training uses automatic mixed precision. "float16" needs a GPU.
    warm_start : bool, default=False
        Whether `fit` continues from the previous fit: weights, optimizer state, vocabularies and
        catalogue are kept, new items are added, and up to `max_epochs` more epochs are run with
        their own early stopping. `loss_curve_`, `validation_scores_` and `n_epochs_` are
        continued.
    random_state : int, RandomState or None, default=None
        Seed of initial weights, dropout, shuffling, negatives and the held-out rows. If it is
        set, the global random generators are neither used nor changed.
    verbose : int, default=0
        If 1, print what is trained on, one line per epoch, and how good the model is on held-out
        rows, also compared with the popularity of items. Terminals and notebooks also show the
        progress within an epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        0 (not clicked) and 1 (clicked).
    chosen_ : dict of str to object
        The parameters whose value was "auto", with the values that were chosen.
    prior_ : Prior or None
        Popularity and co-clicks of the items, and their weights. None if scores do not contain
        them, because `co_clicks` is False or because they do not improve the ranking of held-out
        impressions.
    items_ : Items
        The catalogue.
    histories_ : pyarrow.Table or None
        Remembered histories, if `fit` or `update` got a log of clicks: one row per user, by
        ascending `user_id`, with the lists `history` and, if the log has times, `times`.
    removed_ : ndarray of shape (n_removed,)
        Ids of the items that `remove_items` has removed.
    content_, behavior_, predictor_ : operators
        The fitted clones of the operators.
    side_ : content operator or None
        Reads the item columns that the behavior operator uses directly, if there are any.
    context_ : ContextFeatures or None
        The fitted context transformer and the scale of its features, if there is any context.
    users_ : pyarrow.Array or None
        Ids of the known users, if the behavior operator has user vectors.
    network_ : torch.nn.Module
        The trained network.
    n_epochs_ : int
        Number of epochs that were run.
    n_clicks_ : ndarray of float, shape (n_training_items,)
        Number of clicks on each item in the rows of `fit`, plus those of each `partial_fit`; see
        :class:`~skrec.baselines.Popularity` for what is counted. None if the recommender was saved
        by an earlier version.
    n_skipped_ : int
        Number of training rows that were skipped: impressions without a click and empty bare
        histories.
    loss_curve_ : list of float
        Mean training loss of each epoch.
    validation_scores_ : list of float
        Validation score after each epoch; losses are negated. Empty if `early_stopping` is False.
    best_score_ : float
        Best validation score. The weights of its epoch were kept; these are the initial weights
        if no epoch improved their score. The co-clicks are added afterwards.
    calibration_ : tuple of (float, float)
        a and b of ``sigmoid(a * score + b)``.

    See Also
    --------
    skrec.zoo : Published models as ready-made recommenders.
    skrec.Items : The catalogue.

    Notes
    -----
    With `co_clicks`, the score of an item is a sum of three terms: the score of the network, the
    log of the item's number of clicks, and the log of the co-clicks. The co-clicks of an item are
    its similarities to the items of the history, weighted by their age and added up. Similarities
    count how often, and how closely, one item follows the other in the training histories; see
    ``skrec._data.co_clicks.ordered_similarities``. The network is trained with the popularity
    added to its scores, so that it learns what popularity does not say. The weights of the terms
    are chosen on the held-out clicks. For impressions and pairs, there is no term for popularity,
    and co-clicks are added only if they improve the ranking of held-out rows. Clicks say nothing of
    items that are added after `fit`, so these have the popularity and the co-clicks of the average
    item. Item vectors, user vectors and `similar_items` are those of the network alone.

    The context of a row is standardized, projected, and added to each vector of the user. The
    projection starts at zero and is trained with the network. Unknown values count as the mean of
    the training rows: null numbers, categories that `fit` has not seen, and all context of X that
    consists of histories only. Otherwise, columns that `fit` used must be there, and may contain
    nulls. The context belongs to the candidates of a row, so clicks that `history_targets` adds for
    impressions and pairs are learned without it. In bare histories, the context of a row counts for
    all of its clicks.

    References
    ----------
    .. [1] Liu et al., "Legommenders: A Comprehensive Content-Based Recommendation Library with
       LLM Support", arXiv 2412.15973.
    .. [2] Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback",
       arXiv 1205.2618.
    .. [3] Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item
       Recommendations", RecSys 2019.
    .. [4] Petrov and Macdonald, "gSASRec: Reducing Overconfidence in Sequential Recommendation
       Trained with Negative Sampling", arXiv 2308.07192.
    .. [5] Moreira et al., "NV-Retriever: Improving text embedding models with effective
       hard-negative mining", arXiv 2407.15831.

    Examples
    --------
    >>> from skrec import ContentRecommender
    >>> from skrec.datasets import make_headlines
    >>> news = make_headlines(n_users=50, n_items=200, n_impressions=300, random_state=0)
    >>> rec = ContentRecommender(max_epochs=2, random_state=0).fit(news.train, news.items)
    >>> ids, scores = rec.recommend(news.test.head(2), k=3)
    >>> ids.shape
    (2, 3)
    """

    # `load` accepts these fitted attributes and no others
    classes_: np.ndarray
    items_: Items
    histories_: pa.Table | None
    removed_: np.ndarray
    users_: pa.Array | None
    context_: ContextFeatures | None
    content_: ContentOperator
    behavior_: BehaviorOperator
    predictor_: Predictor
    side_: ContentOperator | None
    network_: Network
    loss_curve_: list[float]
    validation_scores_: list[float]
    n_epochs_: int
    n_skipped_: int
    n_clicks_: np.ndarray | None
    best_score_: float
    calibration_: tuple[float, float]
    chosen_: dict[str, Any]
    prior_: Prior | None
    _encoded_items: EncodedItems
    _training_state: TrainingState | None

    # requested by default, so that users need not call set_fit_request(items=True)
    __metadata_request__fit = {"items": True, "columns": True}
    __metadata_request__partial_fit = {"items": True}
    __metadata_request__predict = {"items": True}
    __metadata_request__predict_proba = {"items": True}
    __metadata_request__decision_function = {"items": True}
    __metadata_request__transform = {"items": True}
    # Pipeline.score routes sample_weight even if it is None
    __metadata_request__score = {"items": True, "sample_weight": None}

    def __init__(
        self,
        content: Any = "auto",
        behavior: Any = "auto",
        predictor: Any = "auto",
        *,
        width: int = 64,
        max_history: int = 50,
        loss: str | None = None,
        n_negatives: int | str = "auto",
        negative_sampling: str = "auto",
        n_hard_negatives: int = 0,
        history_targets: int | str = "auto",
        co_clicks: bool | str = "auto",
        context: Any = "warn",
        context_fields: bool = False,
        learning_rate: float | str = "auto",
        pretrained_learning_rate: float = 1e-4,
        weight_decay: float = 0.0,
        lr_schedule: str = "constant",
        warmup_fraction: float = 0.0,
        max_grad_norm: float | None = None,
        gradient_accumulation_steps: int = 1,
        batch_size: int | str = "auto",
        max_epochs: int = 20,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 3,
        scoring: str = "gauc",
        calibration: str | None = "sigmoid",
        unknown_items: str = "raise",
        memory: Any = None,
        device: Any = None,
        processes: str | None = "auto",
        precision: str = "auto",
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.content = content
        self.behavior = behavior
        self.predictor = predictor
        self.width = width
        self.max_history = max_history
        self.loss = loss
        self.n_negatives = n_negatives
        self.negative_sampling = negative_sampling
        self.n_hard_negatives = n_hard_negatives
        self.history_targets = history_targets
        self.co_clicks = co_clicks
        self.context = context
        self.context_fields = context_fields
        self.learning_rate = learning_rate
        self.pretrained_learning_rate = pretrained_learning_rate
        self.weight_decay = weight_decay
        self.lr_schedule = lr_schedule
        self.warmup_fraction = warmup_fraction
        self.max_grad_norm = max_grad_norm
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.scoring = scoring
        self.calibration = calibration
        self.unknown_items = unknown_items
        self.memory = memory
        self.device = device
        self.processes = processes
        self.precision = precision
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the recommender and, with nested keys, of its operators.

        Parameters
        ----------
        **params : dict
            Parameters and their values. A nested key such as ``predictor__temperature`` sets a
            parameter of an operator.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a nested key refers to an alias. Pass the operator itself instead.
        """
        refuse_nested_on_alias(self, params)
        return super().set_params(**params)

    @with_callbacks
    @items_by_keyword
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        items: Any = None,
        columns: Mapping[str, str | None] | None = None,
        sample_weight: Any = None,
        checkpoint: Any = None,
        checkpoint_every: int | str = "10 minutes",
    ) -> Self:
        """Train the model on clicks.

        Parameters
        ----------
        X : table or list of id lists, of n_samples rows
            Impressions (columns `history`, `candidates` and `clicked`), pairs (columns `history`
            and `candidate`, with labels in `clicked` or y), or bare histories. Clicks have a weight
            in the loss if `clicked` or a column `weights` contains it in place of 1. Or a log with
            one click per row, see `columns`. It is trained as bare histories, one per user, which
            the model remembers in `histories_`, so that ``recommend(users=...)`` works.
        y : array-like of shape (n_samples,), or a catalogue, default=None
            Labels 0/1 of pairs. A catalogue in this place is used as `items`.
        items : Items or DataFrame-like with the id column, default=None
            The catalogue. In searches and cross-validation, pass it as ``Items(df)``.
        columns : mapping, default=None
            Names of the columns of a log, such as ``{"user": "uid", "item": "sku", "time": "ts"}``.
            Without a time, or if it is None, the rows of each user must be in the order of the
            clicks. A table with the columns `user_id`, `item_id` and `time` (or `timestamp`), and
            without `history`, is read as a log without `columns`, too. Other columns of a log are
            not used; a warning names those that could be context, unless ``context=None``.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row in the loss and in the calibration. Rows with weight 0 are ignored.
            The validation score does not use weights.
        checkpoint : str or Path, default=None
            Folder for checkpoints. If a process ends before `fit` does, the same call in a new
            process continues from the last checkpoint, and ends with the same model. After `fit`,
            the folder contains the end of training, and the same call returns the model without
            training. Delete the folder to train anew. None writes no checkpoints.
        checkpoint_every : int or str, default="10 minutes"
            Optimizer steps between checkpoints, or minutes such as ``"10 minutes"``. Ignored
            without `checkpoint`.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If parameters or data are invalid, or not those of the checkpoint. They are validated
            before training starts.
        FileExistsError
            If `checkpoint` is a folder with anything else than a checkpoint.
        """
        processes = launched_processes(self.processes, self.device)
        verbose = self.verbose if processes.rank == 0 else 0

        def fit() -> ContentRecommender:
            store = None if checkpoint is None else saving.CheckpointFolder(checkpoint)
            with limited_threads(), StatusLine(verbose) as status:
                status.begin("reading the data")
                with keeping(store, checkpoint_every, processes) as kept:
                    rows = read_rows(X, y, items, columns, sample_weight, status, self.context)
                    return self._fit(rows, sample_weight, processes, status, kept)

        with self._writing(), processes.joined():
            processes.each(fit, "fit")
        return self

    def _fit(
        self,
        rows: FitRows,
        sample_weight: Any,
        processes: Processes,
        status: StatusLine,
        checkpoint: Checkpoint | None,
    ) -> Self:
        X, y = rows.X, rows.y
        resuming = self.warm_start and hasattr(self, "network_")
        arguments = X, y, rows.items, sample_weight, resuming, processes
        inputs = read_inputs(self, *arguments, checkpoint=checkpoint)
        data, valid = inputs.data, None
        if self.early_stopping:
            monitored(self.scoring, data)  # raises before anything is trained
            data, valid = inputs.hold_out(self.validation_fraction)
        prior = inputs.starting_prior(data)
        examples = inputs.examples(data, prior)
        model = copy_to_train(self, inputs, examples, resuming)
        model.prior_, model.histories_ = prior, rows.histories
        model.n_clicks_ = inputs.n_clicks()
        status.print(describe_data(data, valid, inputs.items.n_items, inputs.chosen))

        # callbacks that ask for X and y get pairs, which any scorer of scikit-learn can score
        pairs = cache(partial(labeled_pairs, X, y, data.kind))
        callback_kwargs = {"estimator": self, "X": lambda: pairs()[0], "y": lambda: pairs()[1]}
        n_tasks = self.max_epochs + inputs.operators["content"].keeps_states
        context = self._init_callback_context(max_subtasks=n_tasks)
        context.call_on_fit_task_begin(**callback_kwargs)
        report = ProgressReporter(context, "prefix states", status, **callback_kwargs)
        model.content_.use(Resources(self.memory, inputs.device, report))
        status.begin("preparing the items")
        with processes.interruptible():
            trainer = start_training(model, inputs, examples, valid, resuming, checkpoint)

        def fitted_now() -> dict[str, Any]:
            keeps = self.warm_start and trainer.sharded is None  # shards need all processes
            state = TrainingState.of(trainer) if keeps else None
            now = {"best_score_": trainer.best_score, "_training_state": state}
            return model._fitted_attributes() | course(self, trainer, resuming) | now

        end_kwargs = {**callback_kwargs, "reconstruction_attributes": fitted_now}
        run_epochs(trainer, context, callback_kwargs, end_kwargs, status)
        status.begin("choosing the weights of scores, and calibrating")
        model._training_state = TrainingState.of(trainer) if self.warm_start else None
        vars(model).update(course(self, trainer, resuming))
        if inputs.parameters.co_clicks:
            scorer = shared(model._scorer(), processes)
            model.prior_ = choose_prior(scorer, data, valid, processes)
        model.best_score_ = trainer.best_score
        processes.each(partial(context.call_on_fit_task_end, **end_kwargs), "callbacks")
        model.content_.use(Resources(self.memory, inputs.device))  # without the callbacks
        if valid is not None and self.calibration == "sigmoid":
            fitted = partial(calibrate, shared(model._scorer(), processes), valid)
            model.calibration_ = processes.first(fitted, "calibration")
        if valid is not None and status.verbose:  # before the terms contain held-out clicks
            validation = Validation(model._scorer(), self.scoring, valid, self.calibration)
            status.print(compare_with_popularity(validation, data))
        if valid is not None and model.prior_ is not None:
            model.prior_ = fit_terms(model.prior_, inputs.data, inputs.items)
        take_over(self, model)
        return self

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        items: Any = None,
        *,
        classes: Any = None,
        sample_weight: Any = None,
    ) -> Self:
        """Train the model for one more epoch, for example on the clicks of the last day.

        The first call builds the model. Later calls, and calls after `fit`, continue from the
        current weights and optimizer state, also in another process. No rows are held out, and
        the calibration does not change. The width, the operators and the floating-point type
        must stay the same; other parameters, such as `learning_rate`, may change.

        Parameters
        ----------
        X : table or list of id lists, of n_samples rows
            As in `fit`, but not a log of clicks. Add its clicks by `update`, and train on rows that
            :func:`skrec.datasets.impressions_from_clicks` made of it.
        y : array-like of shape (n_samples,), or a catalogue, default=None
            Labels 0/1 of pairs. A catalogue in this place is used as `items`.
        items : Items or DataFrame-like with the id column, default=None
            In the first call, the catalogue. In later calls, items to add to the catalogue and
            new versions of known items. Vocabularies are those of the first call: ids and
            categories that they do not contain share one vector.
        classes : array-like, default=None
            ``[0, 1]`` or None. Exists for compatibility with scikit-learn.
        sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`.

        Returns
        -------
        self
            If the call fails or is interrupted, the estimator is left unchanged.

        Raises
        ------
        ValueError, TypeError
            If parameters or data are invalid.
        """
        processes = launched_processes(self.processes, self.device)
        fit = partial(train_one_epoch, self, X, y, items, classes, sample_weight, processes)
        with self._writing(), limited_threads(), processes.joined():
            processes.each(fit, "partial_fit")
        return self

    def transform(self, X: Any, *, items: Any = None) -> np.ndarray:
        """Compute user vectors.

        Parameters
        ----------
        X : list of id lists, or table with `history`, of n_samples rows
            The histories. Candidates are ignored.
        items : Items or DataFrame-like, default=None
            New or changed items, used in this call only.

        Returns
        -------
        ndarray of shape (n_samples, width), or (n_samples, K, width)
            The second shape if the behavior operator returns K > 1 vectors per user. After
            ``set_output(transform="pandas")`` or ``"polars"``, a data frame with `width` columns.

        Raises
        ------
        ValueError
            If the behavior operator depends on the candidates or scores each click separately; or
            if a data frame is to hold K > 1 vectors per user.
        """
        data, scorer = self._read(X, items)
        if not scorer.network.has_user_vectors:
            reads = "scores each click" if scorer.network.late_fusion else "reads the candidates"
            raise ValueError(f"{self.behavior_!r} {reads}, so users have no vector of their own")
        users = scorer.users(data)
        if users.shape[1] == 1:
            return users.squeeze(1)
        if output_library(self) is not None:
            raise ValueError(
                f"{self.behavior_!r} gives {users.shape[1]} vectors per user, which a data frame "
                "can't hold; use set_output(transform='default')"
            )
        return users

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns of a data frame that `transform` returns.

        Parameters
        ----------
        input_features : None
            Ignored. Exists for compatibility with scikit-learn.

        Returns
        -------
        ndarray of str, shape (width,)
        """
        check_is_fitted(self, "network_")
        name, width = type(self).__name__.lower(), len(self.network_.empty_history)
        return np.array([f"{name}{i}" for i in range(width)], dtype=object)

    def item_vectors(self, items: Any = None) -> np.ndarray:
        """Compute item vectors.

        Parameters
        ----------
        items : Items or DataFrame-like, default=None
            Items to encode; they need not be in the catalogue. None uses the catalogue.

        Returns
        -------
        ndarray of shape (n_items, width)
            Vectors in the order of `items`, or of ``items_.ids`` if `items` is None.
        """
        check_is_fitted(self, "network_")
        if items is None:
            scorer = self._scorer()
            return scorer.encoded_items.vectors(scorer.network).cpu().numpy()
        asked = EncodedItems(self.items_.conform(items), self._reader())
        return asked.vectors(self.network_).cpu().numpy()

    def save(self, path: Any, *, include_base: bool = False, include_vectors: bool = False) -> Self:
        """Save the fitted recommender to a folder without code and without pickles.

        The folder contains the weights as safetensors, the catalogue as parquet, everything else
        as JSON, and a README with instructions for loading. The folder is replaced as a whole: if
        the process dies, the previous version remains.

        Parameters
        ----------
        path : str or Path
            The folder. A saved recommender at this path is replaced; other contents are not.
        include_base : bool, default=False
            Whether to save the weights of a pretrained language model. If False, its name and
            revision are saved, and `load` reads the model from its original source.
        include_vectors : bool, default=False
            Whether to save the item vectors. If True, the loaded recommender does not encode the
            catalogue, and processes of one machine share the vectors in memory.

        Returns
        -------
        self

        Raises
        ------
        FileExistsError
            If `path` exists and is not a saved recommender.
        TypeError, ValueError
            If a part of the recommender cannot be saved.

        See Also
        --------
        skrec.load : Reads the folder.
        """
        if include_vectors:
            self._scorer()  # which keeps them
        check = partial(restored_state, ContentRecommender)
        include = {"include_base": include_base, "include_vectors": include_vectors}
        saving.save(self, ContentRecommender, path, **include, check=check)
        return self

    @classmethod
    def load(
        cls, path: Any, *, device: Any = None, trusted: Iterable[Any] = (), base: Any = None
    ) -> Any:
        """Load a recommender that `save` wrote; see :func:`skrec.load`.

        Parameters
        ----------
        path : str or Path
            The folder.
        device : str or torch.device, default=None
            Device of the computation. None selects the saved recommender's `device`.
        trusted : iterable of classes and str, default=()
            What may be built in addition to skrec's own classes.
        base : str, Path, model or mapping, default=None
            New place of the language model, if it has moved.

        Returns
        -------
        ContentRecommender
        """
        return load(path, device=device, trusted=trusted, base=base)

    def _writing(self) -> AbstractContextManager[None]:
        """Let one thread at a time change the fitted attributes. Prediction needs no lock."""
        return lock_of(self).held()

    def _fitted_attributes(self) -> dict[str, Any]:
        """Return what a callback needs to predict with the current weights, and to save them."""
        return {name: value for name, value in vars(self).items() if name.endswith("_")} | {
            "_encoded_items": self._encoded_items
        }

    def _encoded(self) -> EncodedItems:
        """Return the catalogue with its vectors; a pickle does not contain them."""
        if not hasattr(self, "_encoded_items"):
            with self._writing():
                if not hasattr(self, "_encoded_items"):
                    self._encoded_items = EncodedItems(self.items_, self._reader())
        return self._encoded_items

    def _rows(self) -> Any:
        """Return the item rows, which `save` writes."""
        return self._encoded().encoding(self.network_).rows

    def _use_rows(self, rows: Any) -> None:
        """Take the item rows that `load` has read, so that the catalogue is not encoded."""
        self._encoded_items = self._encoded().with_rows(rows, self.network_)

    def _reader(self) -> Any:
        """Return what prepares items for the network."""
        return reader_of(self.content_, self.side_)

    def _scorer(self, items: Any = None) -> Scorer:
        """Return what predicts with the current model, which another thread may replace."""
        check_is_fitted(self, "network_")
        self._encoded()
        now = self.__dict__.copy()  # all attributes of one model
        encoded, network = now["_encoded_items"], now["network_"]
        if items is not None:
            encoded = encoded.extend(items, network)
        prior, n_clicks = now.get("prior_"), now.get("n_clicks_")
        return Scorer(
            network,
            encoded,
            now["max_history"],
            now["calibration_"],
            known_users=now["users_"],
            prior=None if prior is None else encoded.kept("prior", prior, prior.for_items),
            n_clicks=encoded.kept("n_clicks", n_clicks, lambda i: with_zeros(n_clicks, i.n_items)),
            removed=removed_codes(now["removed_"], encoded.items, items),
            context=now.get("context_"),
        )

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_encoded_items", None)
        if "items_" in state:
            state["items_"] = state["items_"]._in_memory()
        if "network_" in state:
            state["network_"] = saving.to_arrays(state["network_"])
        if state.get("_training_state") is not None:
            state["_training_state"] = state["_training_state"].to_arrays()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        arrays = state.get("network_")
        super().__setstate__(state)
        if arrays is not None:
            device = resolve_device(self.device, fall_back=True)
            self.content_.use(Resources(self.memory, device))
            operators = self.content_, self.behavior_, self.predictor_, self.side_
            width = len(arrays["empty_history"])
            with TorchGenerator().lent():
                network = build_network(*operators, self.users_, self.context_, width)
            self.network_ = saving.load_arrays(network, arrays).to(device).eval()
        if state.get("_training_state") is not None:
            self._training_state = TrainingState.from_arrays(state["_training_state"])

    @available_if(lambda self: hasattr(self, "network_"))
    def _sk_visual_block_(self) -> Any:
        """Return the boxes that scikit-learn draws for the fitted operators."""
        return visual_block(self)

    def _html_repr(self) -> str:
        """Return what notebooks show; scikit-learn calls this method."""
        return recommender_view(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.input_tags.two_d_array = False
        tags.classifier_tags.multi_class = False
        return tags


def load(path: Any, *, device: Any = None, trusted: Iterable[Any] = (), base: Any = None) -> Any:
    """Load a recommender that `ContentRecommender.save`, or `save` of a baseline, wrote.

    Nothing is unpickled and no code from the folder is run. Only skrec's own classes are built,
    from JSON, safetensors and parquet files whose checksums are verified. A language model that
    was saved by name is loaded by that name, and refused if it has changed.

    Parameters
    ----------
    path : str or Path
        The folder.
    device : str or torch.device, default=None
        Device of the computation. None selects the `device` parameter of the saved recommender,
        or the CPU, with a warning, if that device is not available.
    trusted : iterable of classes and str, default=()
        What may be built in addition to skrec's own classes: your own operator classes, names of
        types for skops (an error lists them), and ``"trust_remote_code"`` for language models
        that come with code.
    base : str, Path, model or mapping, default=None
        Name or path of the language model, or the model, if it has moved since it was saved. A
        mapping has the new one for each name or path that was saved; see
        :func:`skrec.content.base_at`, which does the same for pickles.

    Returns
    -------
    ContentRecommender or baseline

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If the folder is damaged, was changed, has a newer format, or contains classes that are
        not trusted.

    See Also
    --------
    ContentRecommender.save : Writes the folder.

    Examples
    --------
    >>> import skrec
    >>> rec = skrec.load("news-recommender")  # doctest: +SKIP
    """
    check = partial(restored_state, ContentRecommender)
    with base_at(base):
        return saving.load(
            ContentRecommender, path, device=device, trusted=trusted, check=check, others=SAVED
        )
