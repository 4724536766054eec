"""The estimator."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks

from skrec._explode import labelled_pairs
from skrec._fitting import Progress, check_classes, read_start, undone_on_failure
from skrec._holdout import hold_out
from skrec._inputs import labels_and_catalogue, resolve_device
from skrec._parameters import refuse_nested_on_alias
from skrec._persistence import load_arrays, to_arrays
from skrec._progress import Stage
from skrec._random import borrowed_generator
from skrec._steps import Steps
from skrec.content import Resources


class ContentRecommender(Steps, CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """Recommend items by their content, learned from clicks.

    Three parts are trained together: a content operator turns an item's columns into a
    vector, a behavior operator turns the vectors of clicked items into a user vector, and a
    predictor scores candidates. Since items are read, not looked up, new items can be
    recommended at once; and since users are their histories, so can new users be served.

    Parameters
    ----------
    content : content operator or alias, default="cnn"
        How an item becomes a vector; see :mod:`skrec.content`.
    behavior : behavior operator or alias, default="additive_attention"
        How clicks become a user; see :mod:`skrec.behavior`.
    predictor : predictor or alias, default="dot"
        How user and item become a score; see :mod:`skrec.predictor`.
    width : int, default=64
        Size of item and user vectors.
    max_history : int, default=50
        Latest clicks that are read of a history.
    loss : {"softmax", "bpr", "bce"}, default=None
        "softmax": each click against `n_negatives` other candidates of its impression, filled
        up with items sampled from the catalogue. "bpr": the same, one by one [2]_. "bce": each
        candidate by itself. None takes softmax for impressions, pairs with `impression_id` and
        bare histories, bce for other pairs.
    n_negatives : int, default=4
        Negatives for each click. Those that are sampled are shared by the whole batch, so that
        many cost little. Ignored by "bce", except for clicks inside histories.
    negative_sampling : {"uniform", "popularity"}, default="uniform"
        How negatives are sampled from the catalogue: never a click of the row, nor from its
        history. "popularity" draws in proportion to one more than an item's clicks in training,
        and "softmax" takes the log of these chances off the scores, so that popular items are
        not punished for being drawn often [3]_.
    history_targets : int, default=0
        Clicks inside the history of each row that are learned as well, each from the clicks
        before it, against sampled negatives. They teach what follows what; take many
        `n_negatives` with them. Of bare histories, clicks learned besides the one.
    learning_rate : float, default=3e-3
        Of AdamW.
    pretrained_learning_rate : float, default=1e-4
        Of modules that an operator marks as pretrained (``module.pretrained = True``).
    weight_decay : float, default=0.0
        Of AdamW.
    batch_size : int, default=64
        Clicks a step; with "bce", candidates a step.
    max_epochs : int, default=20
        Most passes over the clicks.
    early_stopping : bool, default=True
        Whether to hold out a part, stop when its score no longer improves, and keep the best
        weights. Without it the whole of X is trained on for `max_epochs`.
    validation_fraction : float, default=0.1
        Share of the impressions to hold out: the latest where X has a `time`, else a random
        part. Ignored without `early_stopping`.
    n_iter_no_change : int, default=3
        Epochs without improvement before training stops. Ignored without `early_stopping`.
    scoring : str, default="gauc"
        The metric of `score` and of early stopping; see :mod:`skrec.metrics`.
    calibration : {"sigmoid", None}, default="sigmoid"
        How scores become probabilities: ``sigmoid(a * score + b)`` fitted on the held-out part.
        With None, without early stopping and for bare histories a is 1 and b is 0, and
        probabilities are not calibrated. The ranking is the same either way.
    unknown_items : {"raise", "ignore"}, default="raise"
        Whether ids that the catalogue lacks raise, or are dropped from histories (and in `fit`
        from candidates). "ignore" takes the catalogue as an ``Items`` only.
    memory : str or Path, default=None
        Folder in which language models keep what they compute once of each item; estimators and
        processes that name the same one share it. None keeps it as long as the fitted estimator
        lives. Ignored by other operators. See :mod:`skrec.cache`.
    device : str or torch.device, default=None
        Where to compute; None takes a CUDA GPU if there is one, else the CPU.
    precision : {"auto", "float32", "float64", "bfloat16", "float16"}, default="auto"
        Number type of weights; "auto" is float32. With the last two, weights are float32 and
        training computes in the shorter type where that is safe; "float16" needs a GPU.
    warm_start : bool, default=False
        Whether `fit` goes on from the last fit: weights, optimiser, vocabularies and the
        catalogue, to which new items are added, with `max_epochs` more epochs and an early
        stopping of its own. `loss_curve_`, `validation_scores_` and `n_epochs_` go on.
    random_state : int, RandomState or None, default=None
        Seeds initial weights, dropout, shuffling, negatives and the held-out part. The global
        generators are neither read nor changed when it is set.
    verbose : int, default=0
        1 prints a line an epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        0 (not clicked) and 1 (clicked).
    items_ : Items
        The catalogue.
    content_, behavior_, predictor_ : operators
        The fitted clones.
    side_ : content operator or None
        What reads the columns that the behavior operator looks at by itself, if it does.
    users_ : pyarrow.Array or None
        Ids of the known users, where the behavior operator has vectors of users.
    network_ : torch.nn.Module
        The trained network.
    n_epochs_ : int
        Epochs that were run.
    n_skipped_ : int
        Impressions without a click, or bare histories without any.
    loss_curve_ : list of float
        Mean training loss of each epoch.
    validation_scores_ : list of float
        Score of the held-out part after each epoch; losses are negated. Empty without
        early stopping.
    best_score_ : float
        The best of them, whose weights were kept.
    calibration_ : tuple of (float, float)
        a and b.

    See Also
    --------
    skrec.zoo : Published models as ready-made recommenders.
    skrec.Items : The catalogue.

    References
    ----------
    .. [1] Liu et al., "Legommenders: A Comprehensive Content-Based Recommendation Library with
       LLM Support", arXiv 2412.15973.
    .. [2] Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback",
       arXiv 1205.2618.
    .. [3] Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item
       Recommendations", RecSys 2019.

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

    # metadata routing knows `items` without a call of the user
    __metadata_request__fit = {"items": True}
    __metadata_request__partial_fit = {"items": True}
    __metadata_request__predict = {"items": True}
    __metadata_request__predict_proba = {"items": True}
    __metadata_request__decision_function = {"items": True}
    __metadata_request__transform = {"items": True}
    __metadata_request__score = {"items": True}

    def __init__(
        self,
        content: Any = "cnn",
        behavior: Any = "additive_attention",
        predictor: Any = "dot",
        *,
        width: int = 64,
        max_history: int = 50,
        loss: str | None = None,
        n_negatives: int = 4,
        negative_sampling: str = "uniform",
        history_targets: int = 0,
        learning_rate: float = 3e-3,
        pretrained_learning_rate: float = 1e-4,
        weight_decay: float = 0.0,
        batch_size: int = 64,
        max_epochs: int = 20,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 3,
        scoring: str = "gauc",
        calibration: str | None = "sigmoid",
        unknown_items: str = "raise",
        memory: Any = None,
        device: Any = None,
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
        self.history_targets = history_targets
        self.learning_rate = learning_rate
        self.pretrained_learning_rate = pretrained_learning_rate
        self.weight_decay = weight_decay
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
        self.precision = precision
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def set_params(self, **params: Any) -> ContentRecommender:
        """Set parameters; nested keys such as ``predictor__temperature`` reach into operators.

        Parameters
        ----------
        **params : dict
            Parameters and their values.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For a nested key on an alias: pass the operator itself.
        """
        refuse_nested_on_alias(self, params)
        return super().set_params(**params)

    @with_callbacks
    def fit(
        self, X: Any, y: Any = None, *, items: Any = None, sample_weight: Any = None
    ) -> ContentRecommender:
        """Train on clicks.

        Parameters
        ----------
        X : table or list of id lists, of n_samples rows
            Impressions (`history`, `candidates`, `clicked`), pairs (`history`, `candidate`, with
            `clicked` or y), or bare histories.
        y : array-like of shape (n_samples,), or a catalogue, default=None
            Labels 0/1 of pairs. A catalogue in its place is taken as `items`.
        items : Items or DataFrame-like with the id column, default=None
            The catalogue. Wrap it as ``Items(df)`` in searches and cross-validation.
        sample_weight : array-like of shape (n_samples,), default=None
            What each row counts in the loss and in the calibration, relative to the others; a
            row of weight 0 is as good as absent. Early stopping scores all held-out rows alike.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For parameters or data that can't work; everything is checked before training.
        """
        y, items = labels_and_catalogue(y, items)
        goes_on = self.warm_start and hasattr(self, "network_")
        start = read_start(self, X, y, items, sample_weight, goes_on)
        data, valid = start.data, None
        if self.early_stopping:
            data, valid = hold_out(data, self.validation_fraction, start.rng)
        examples = start.examples(self, data)

        # callbacks that ask for X and y get pairs, which any scorer of scikit-learn can score
        pairs = cache(partial(labelled_pairs, X, y, data.kind))
        told = {"estimator": self, "X": lambda: pairs()[0], "y": lambda: pairs()[1]}
        n_tasks = self.max_epochs + start.operators["content"].keeps_states
        context = self._init_callback_context(max_subtasks=n_tasks)
        context.call_on_fit_task_begin(**told)
        self._take_over(start, goes_on)
        progress = Stage(context, "prefix states", self.verbose, **told)
        self.content_.use(Resources(self.memory, start.device, progress))
        self.n_skipped_ = examples.n_skipped
        with borrowed_generator(start.device):
            trainer = self._trainer(start, examples, valid, goes_on)
            self._run(trainer, context, told, self.loss_curve_ if goes_on else [])
            self._progress = Progress.of(trainer) if self.warm_start else None
        # no longer told: this fit has ended
        self.content_.use(Resources(self.memory, start.device))
        if valid is not None and self.calibration == "sigmoid":
            self.calibration_ = self._calibrate(valid)
        return self

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        items: Any = None,
        *,
        classes: Any = None,
        sample_weight: Any = None,
    ) -> ContentRecommender:
        """Train one epoch more on some rows, such as those of the last day.

        The first call builds the model, later ones go on from the weights and from the
        optimiser's state, after `fit` and in another process too. Nothing is held out: the
        calibration stays as it is. Width, operators and number type can't change; other
        parameters, such as `learning_rate`, may.

        Parameters
        ----------
        X : table or list of id lists, of n_samples rows
            As in `fit`.
        y : array-like of shape (n_samples,), or a catalogue, default=None
            Labels 0/1 of pairs. A catalogue in its place is taken as `items`.
        items : Items or DataFrame-like with the id column, default=None
            Items to add to the catalogue, and new versions of known ones; in the first call, the
            catalogue. They are read with the vocabularies of the first call: ids and categories
            that were not in it share one vector.
        classes : array-like, default=None
            ``[0, 1]`` or None; here for scikit-learn.
        sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`.

        Returns
        -------
        self
            Where this fails or is interrupted, all is as it was.

        Raises
        ------
        ValueError, TypeError
            For parameters or data that can't work.
        """
        y, items = labels_and_catalogue(y, items)
        check_classes(classes)
        goes_on = hasattr(self, "network_")
        start = read_start(self, X, y, items, sample_weight, goes_on)
        examples = start.examples(self, start.data)
        with undone_on_failure(self):
            self._take_over(start, goes_on)
            self.content_.use(Resources(self.memory, start.device))
            self.n_skipped_ = examples.n_skipped
            with borrowed_generator(start.device):
                trainer = self._trainer(start, examples, None, goes_on)
                trainer.run_epoch()
                self._progress = Progress.of(trainer)
            self.loss_curve_ = [*(self.loss_curve_ if goes_on else []), *trainer.losses]
            self.n_epochs_ = len(self.loss_curve_)
            if not goes_on:
                self.validation_scores_, self.best_score_ = [], float("nan")
        return self

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_cache", None)
        if "network_" in state:
            state["network_"] = to_arrays(state["network_"])
        if state.get("_progress") is not None:
            state["_progress"] = state["_progress"].to_arrays()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        arrays = state.get("network_")
        super().__setstate__(state)
        if arrays is not None:
            device = resolve_device(self.device, fall_back=True)
            self.content_.use(Resources(self.memory, device))
            with borrowed_generator():
                network = self._build_network(len(arrays["empty_history"]))
            self.network_ = load_arrays(network, arrays).to(device)
        if state.get("_progress") is not None:
            self._progress = Progress.from_arrays(state["_progress"])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.input_tags.two_d_array = False
        tags.classifier_tags.multi_class = False
        return tags
