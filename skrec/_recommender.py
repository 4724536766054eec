"""The estimator."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skrec import _inference as inference
from skrec._arrow import Table, is_table
from skrec._batches import Examples, ImpressionExamples, NextClickExamples, PairExamples
from skrec._calibration import fit_sigmoid
from skrec._catalogue import Catalogue
from skrec._holdout import hold_out
from skrec._interactions import CodedInteractions, encode
from skrec._items import Items
from skrec._network import Network
from skrec._parameters import (
    FAMILIES,
    check_parameters,
    refuse_nested_on_alias,
    resolve_operator,
)
from skrec._training import Plan, Trainer
from skrec.metrics import compute, compute_ranked, get_metric

MAX_CELLS = 2e8
NO_CATALOGUE = (
    "fit needs the catalogue of items: rec.fit(histories, items), or items=Items(df) in a search "
    "or pipeline, where df is a DataFrame with a column 'item_id' and the items' content"
)


class ContentRecommender(CallbackSupportMixin, ClassifierMixin, BaseEstimator):
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
    loss : {"softmax", "bce"}, default=None
        "softmax": each click against `n_negatives` other candidates of its impression, filled
        up with items sampled from the catalogue. "bce": each candidate by itself. None takes
        softmax for impressions, pairs with `impression_id` and bare histories, bce for other
        pairs. ("bpr" is not built yet.)
    n_negatives : int, default=4
        Negatives for each click. Ignored by "bce" except on bare histories.
    negative_sampling : {"uniform"}, default="uniform"
        How sampled negatives are drawn: never the row's own click, nor, where sampled, from its
        history. ("popularity" is not built yet.)
    history_targets : int, default=0
        Not built yet.
    learning_rate : float, default=1e-3
        Of AdamW.
    pretrained_learning_rate : float, default=1e-5
        Ignored: it is for pretrained language models, which are not built yet.
    weight_decay : float, default=0.0
        Of AdamW.
    batch_size : int, default=64
        Clicks a step; with "bce", candidates a step.
    max_epochs : int, default=10
        Most passes over the clicks.
    early_stopping : bool, default=True
        Whether to hold out a part, stop when its score no longer improves, and keep the best
        weights. Without it the whole of X is trained on for `max_epochs`.
    validation_fraction : float, default=0.1
        Share of the impressions to hold out: the latest where X has a `time`, else a random
        part. Ignored where neither `early_stopping` nor `calibration` needs it.
    n_iter_no_change : int, default=2
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
    memory : None, default=None
        Not built yet.
    device : str or torch.device, default=None
        Where to compute; None takes a CUDA GPU if there is one, else the CPU.
    precision : {"auto", "float32", "float64"}, default="auto"
        Number type of weights; "auto" is float32.
    warm_start : False, default=False
        Not built yet.
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
    network_ : torch.nn.Module
        The trained network.
    n_epochs_ : int
        Epochs that were run.
    n_skipped_ : int
        Impressions without a click, or histories too short to train on.
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
        learning_rate: float = 1e-3,
        pretrained_learning_rate: float = 1e-5,
        weight_decay: float = 0.0,
        batch_size: int = 64,
        max_epochs: int = 10,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 2,
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
        sample_weight : None
            Not built yet.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For parameters or data that can't work; everything is checked before training.
        NotImplementedError
            For parameters that are part of the interface but not built yet.
        """
        y, items = _labels_and_catalogue(y, items)
        check_parameters(self, sample_weight)
        operators = {
            name: resolve_operator(name, getattr(self, name), self.width) for name in FAMILIES
        }
        device = _resolve_device(self.device)
        items = self._read_catalogue(items)
        drop = "all" if self.unknown_items == "ignore" else "nothing"
        data = encode(X, y, items=items, labels="required", drop_unknown=drop)
        loss = self._resolve_loss(data)

        random_state = check_random_state(self.random_state)
        rng = np.random.default_rng(random_state.randint(2**31, size=4))
        valid = None
        if self.early_stopping:
            data, valid = hold_out(data, self.validation_fraction, rng)
        examples = self._make_examples(data, loss, items.n_items)

        self.classes_ = np.array([0, 1])
        self.items_ = items
        self.content_ = operators["content"].fit(items)
        self.behavior_, self.predictor_ = operators["behavior"], operators["predictor"]
        self.calibration_ = (1.0, 0.0)
        self.n_skipped_ = examples.n_skipped
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(int(rng.integers(2**31)))
            self.network_ = self._build_network(self.width).to(device)
            if self.precision == "float64":
                self.network_.double()
            self._cache = Catalogue(items, self.content_.prepare(items).to(device))
            self._run_training(X, y, examples, valid, loss, rng)
        if valid is not None and self.calibration == "sigmoid" and valid.kind != "histories":
            self.calibration_ = fit_sigmoid(self._score(valid, self._cache), valid.clicked)
        return self

    def predict_proba(self, X: Any, *, items: Any = None) -> np.ndarray:
        """Probabilities of not clicked and clicked.

        Parameters
        ----------
        X : table or list of id lists, of n_samples rows
            Impressions, pairs or bare histories; a `clicked` column is ignored.
        items : Items or DataFrame-like, default=None
            New or changed items, for this call only.

        Returns
        -------
        ndarray
            Impressions: of shape (n_samples,), of arrays (n_candidates, 2). Pairs:
            (n_samples, 2). Bare histories: the probability of a click of every item,
            (n_samples, n_items), columns in the order of ``items_.ids``.
        """
        data, catalogue = self._read(X, items)
        a, b = self.calibration_
        if data.kind == "histories":
            return expit(a * self._score_everything(data, catalogue) + b)
        clicked = expit(a * self._score(data, catalogue) + b)
        return _in_rows(np.stack([1 - clicked, clicked], axis=1), data)

    def decision_function(self, X: Any, *, items: Any = None) -> np.ndarray:
        """Scores: what candidates are ranked by.

        Parameters
        ----------
        X : table or list of id lists, of n_samples rows
            Impressions, pairs or bare histories; a `clicked` column is ignored.
        items : Items or DataFrame-like, default=None
            New or changed items, for this call only.

        Returns
        -------
        ndarray
            Impressions: of shape (n_samples,), of arrays (n_candidates,). Pairs:
            (n_samples,). Bare histories: (n_samples, n_items), columns in the order of
            ``items_.ids``.
        """
        data, catalogue = self._read(X, items)
        if data.kind == "histories":
            return self._score_everything(data, catalogue)
        return _in_rows(self._score(data, catalogue), data)

    def predict(self, X: Any, *, items: Any = None) -> np.ndarray:
        """Whether each candidate will be clicked: a probability of at least one half.

        Parameters
        ----------
        X : table or list of id lists, of n_samples rows
            Impressions, pairs or bare histories; a `clicked` column is ignored.
        items : Items or DataFrame-like, default=None
            New or changed items, for this call only.

        Returns
        -------
        ndarray of 0/1
            In the shape of `decision_function`.
        """
        data, catalogue = self._read(X, items)
        a, b = self.calibration_
        if data.kind == "histories":
            return (a * self._score_everything(data, catalogue) + b >= 0).astype(np.int64)
        return _in_rows((a * self._score(data, catalogue) + b >= 0).astype(np.int64), data)

    def score(self, X: Any, y: Any = None, *, items: Any = None) -> float:
        """Quality of the ranking; greater is better.

        Parameters
        ----------
        X : table or list of id lists, of n_samples rows
            Impressions or pairs with clicks, or bare histories.
        y : array-like of shape (n_samples,), default=None
            Labels of pairs, where X has no `clicked` column.
        items : Items or DataFrame-like, default=None
            New or changed items, for this call only.

        Returns
        -------
        float
            Impressions and grouped pairs: the metric `scoring`, negated where lower is better.
            Pairs without groups: the same where it needs none, else AUC. Bare histories: the
            last click is hidden and ranked over the catalogue, nDCG@10.
        """
        data, catalogue = self._read_labelled(X, y, items)
        return self._monitor(data, catalogue)

    def evaluate(
        self, X: Any, y: Any = None, *, metrics: Any = None, items: Any = None
    ) -> dict[str, float]:
        """Several metrics at once.

        Parameters
        ----------
        X : table or list of id lists, of n_samples rows
            Impressions or pairs with clicks, or bare histories, whose last click is hidden and
            ranked over the catalogue.
        y : array-like of shape (n_samples,), default=None
            Labels of pairs, where X has no `clicked` column.
        metrics : str or list of str, default=None
            Names as in :mod:`skrec.metrics`; None takes `scoring`.
        items : Items or DataFrame-like, default=None
            New or changed items, for this call only.

        Returns
        -------
        dict of str to float
            With ``n_groups_used`` where a metric is computed within groups: those with both a
            click and a non-click where needed.
        """
        data, catalogue = self._read_labelled(X, y, items)
        names = [self.scoring] if metrics is None else metrics
        return self._evaluate([names] if isinstance(names, str) else list(names), data, catalogue)

    def recommend(
        self, X: Any, k: int = 10, *, items: Any = None, exclude_seen: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k best items of the whole catalogue for each history.

        Parameters
        ----------
        X : list of id lists, or table with `history`, of n_samples rows
            The histories; candidates are ignored.
        k : int, default=10
            Length of the lists.
        items : Items or DataFrame-like, default=None
            New or changed items, for this call only.
        exclude_seen : bool, default=True
            Whether the items of a history are left out of its list.

        Returns
        -------
        ids : ndarray of shape (n_samples, k)
            Best first. Where fewer than k items are left: -1 (int ids) or None (str ids).
        scores : ndarray of float32, shape (n_samples, k)
            What `decision_function` gives; -inf where there is no item.
        """
        from skrec._operators import check_int

        check_int("k", k)
        data, catalogue = self._read(X, items)
        codes, scores = inference.top_k(
            self._score_blocks(data, catalogue), data, k, exclude_seen
        )
        known = catalogue.items.ids
        ids = known[np.maximum(codes, 0)]
        ids[codes < 0] = -1 if known.dtype.kind == "i" else None
        return ids, scores

    def transform(self, X: Any, *, items: Any = None) -> np.ndarray:
        """User vectors.

        Parameters
        ----------
        X : list of id lists, or table with `history`, of n_samples rows
            The histories; candidates are ignored.
        items : Items or DataFrame-like, default=None
            New or changed items, for this call only.

        Returns
        -------
        ndarray of shape (n_samples, width), or (n_samples, K, width)
            The latter where the behavior operator gives K > 1 vectors a user.
        """
        data, catalogue = self._read(X, items)
        if self.network_.candidate_aware:
            raise ValueError(
                f"{self.behavior_!r} reads the candidates, so users have no vector of their own"
            )
        vectors = catalogue.vectors(self.network_)
        users, user_of_row = inference.user_vectors(
            self.network_, vectors, data, self.max_history
        )
        array = users.cpu().numpy()[user_of_row]
        return array.squeeze(1) if array.shape[1] == 1 else array

    def item_vectors(self, items: Any = None) -> np.ndarray:
        """Item vectors.

        Parameters
        ----------
        items : Items or DataFrame-like, default=None
            The items to encode, new ones too; None takes the catalogue.

        Returns
        -------
        ndarray of shape (n_items, width)
            In the order of `items`, else of ``items_.ids``.
        """
        check_is_fitted(self, "network_")
        if items is None:
            return self._catalogue().vectors(self.network_).cpu().numpy()
        asked = self.items_.conform(items)
        packed = self.content_.prepare(asked).to(inference.device_of(self.network_))
        return inference.item_vectors(self.network_, packed).cpu().numpy()

    def _read_catalogue(self, items: Any) -> Items:
        if items is None:
            raise ValueError(NO_CATALOGUE)
        if isinstance(items, Items):
            return items
        if self.unknown_items == "ignore":
            raise TypeError(
                "unknown_items='ignore' takes the catalogue as items=Items(df), since a bare "
                f"{type(items).__name__} may have been cut by a search; got {type(items).__name__}"
            )
        return Items(items)

    def _resolve_loss(self, data: CodedInteractions) -> str:
        grouped = data.kind != "pairs" or data.group_of_row is not None
        if self.loss == "softmax" and not grouped:
            raise ValueError(
                "loss='softmax' compares candidates of one impression; give pairs an "
                "'impression_id' column, or take loss='bce'"
            )
        return self.loss or ("softmax" if grouped else "bce")

    def _make_examples(self, data: CodedInteractions, loss: str, n_items: int) -> Examples:
        if data.kind == "histories":
            return NextClickExamples(data, self.n_negatives, n_items)
        if loss == "bce":
            return PairExamples(data)
        return ImpressionExamples(data, self.n_negatives, n_items)

    def _build_network(self, width: int) -> Network:
        return Network(
            self.content_.build(self.content_.schema_, width),
            self.behavior_.build(width),
            self.predictor_.build(width),
            width,
            self.behavior_.candidate_aware,
        )

    def _run_training(
        self,
        X: Any,
        y: Any,
        examples: Examples,
        valid: CodedInteractions | None,
        loss: str,
        rng: np.random.Generator,
    ) -> None:
        """Run the epochs, telling callbacks; Ctrl-C ends training and keeps the model."""
        plan = Plan(
            loss,
            self.learning_rate,
            self.weight_decay,
            self.batch_size,
            self.max_epochs,
            self.n_iter_no_change,
            self.max_history,
        )
        validate: Callable[[], float] | None = None
        if valid is not None:
            held_out = valid
            validate = lambda: self._monitor(held_out, self._cache)  # noqa: E731
        trainer = Trainer(self.network_, self._cache.packed, examples, plan, rng, validate)
        fit_context = self._init_callback_context(max_subtasks=self.max_epochs)
        told = {"X": X, "y": y, "reconstruction_attributes": self._fitted_so_far}
        fit_context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        try:
            while not trainer.finished:
                context = fit_context.subcontext(task_name="epoch")
                context.call_on_fit_task_begin(estimator=self, X=X, y=y)
                trainer.run_epoch()
                if self.verbose:
                    print(_progress(trainer, self.max_epochs))
                if context.call_on_fit_task_end(estimator=self, **told):
                    break
        except KeyboardInterrupt:
            warnings.warn(
                f"training was interrupted in epoch {len(trainer.losses) + 1}; the model is kept as "
                "it is",
                UserWarning,
                stacklevel=4,
            )
        trainer.restore_best()
        self.n_epochs_ = len(trainer.losses)
        self.loss_curve_ = trainer.losses
        self.validation_scores_ = trainer.scores
        self.best_score_ = trainer.best_score
        fit_context.call_on_fit_task_end(estimator=self, **told)

    def _fitted_so_far(self) -> dict[str, Any]:
        names = ("classes_", "items_", "content_", "behavior_", "predictor_", "network_")
        return {name: getattr(self, name) for name in (*names, "calibration_", "_cache")}

    def _catalogue(self) -> Catalogue:
        """Return the fitted catalogue, prepared again where a pickle left it out."""
        if not hasattr(self, "_cache"):
            packed = self.content_.prepare(self.items_)
            self._cache = Catalogue(self.items_, packed.to(inference.device_of(self.network_)))
        return self._cache

    def _read(
        self, X: Any, items: Any, y: Any = None, labels: str = "ignored"
    ) -> tuple[CodedInteractions, Catalogue]:
        """Encode X against the fitted catalogue, or against one that `items` extends."""
        check_is_fitted(self, "network_")
        catalogue = self._catalogue()
        if items is not None:
            catalogue = catalogue.extend(items, self.content_, self.network_)
        drop = "histories" if self.unknown_items == "ignore" else "nothing"
        data = encode(X, y, items=catalogue.items, labels=labels, drop_unknown=drop)
        return data, catalogue

    def _read_labelled(
        self, X: Any, y: Any, items: Any
    ) -> tuple[CodedInteractions, Catalogue]:
        return self._read(X, items, y, labels="required")

    def _score(self, data: CodedInteractions, catalogue: Catalogue) -> np.ndarray:
        vectors = catalogue.vectors(self.network_)
        return inference.score_candidates(self.network_, vectors, data, self.max_history)

    def _score_blocks(self, data: CodedInteractions, catalogue: Catalogue) -> Any:
        vectors = catalogue.vectors(self.network_)
        return inference.score_catalogue(self.network_, vectors, data, self.max_history)

    def _score_everything(self, data: CodedInteractions, catalogue: Catalogue) -> np.ndarray:
        shape = (data.n_rows, catalogue.items.n_items)
        if shape[0] * shape[1] > MAX_CELLS:
            raise ValueError(
                f"scores of {shape[0]} histories for each of {shape[1]} items are more than "
                f"{MAX_CELLS:g} cells; recommend(X, k) gives the best k, or score fewer rows"
            )
        everything = np.empty(shape, dtype=np.float32)
        for rows, scores in self._score_blocks(data, catalogue):
            everything[rows] = scores.cpu().numpy()
        return everything

    def _evaluate(
        self, names: list[str], data: CodedInteractions, catalogue: Catalogue
    ) -> dict[str, float]:
        for name in names:
            get_metric(name)
        if data.kind == "histories":
            shorter, target = data.without_last_click()
            blocks = self._score_blocks(shorter, catalogue)
            return compute_ranked(names, inference.rank_last_click(blocks, shorter, target))
        scores = self._score(data, catalogue)
        a, b = self.calibration_
        groups = None
        if data.group_of_row is not None:
            groups = data.group_of_row[data.row_of_candidate()]
        return compute(names, data.clicked, scores, groups, expit(a * scores + b))

    def _monitor(self, data: CodedInteractions, catalogue: Catalogue) -> float:
        """The one number that `score` returns and early stopping watches."""
        metric = get_metric(self.scoring)
        if data.kind == "histories":
            metric = get_metric("ndcg@10")
        elif data.group_of_row is None and metric.kind == "grouped":
            metric = get_metric("auc")
        value = self._evaluate([metric.name], data, catalogue)[metric.name]
        return value if metric.greater_is_better else -value

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_cache", None)
        if "network_" in state:
            weights = state["network_"].state_dict()
            state["network_"] = {name: value.cpu().numpy() for name, value in weights.items()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        weights = state.get("network_")
        super().__setstate__(state)
        if weights is None:
            return
        tensors = {name: torch.from_numpy(value.copy()) for name, value in weights.items()}
        with torch.random.fork_rng(devices=[]):
            network = self._build_network(len(tensors["empty_history"]))
        self.network_ = network.to(tensors["empty_history"].dtype)
        self.network_.load_state_dict(tensors)
        self.network_.to(_resolve_device(self.device))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.input_tags.two_d_array = False
        tags.classifier_tags.multi_class = False
        return tags


def _labels_and_catalogue(y: Any, items: Any) -> tuple[Any, Any]:
    """Read a catalogue in y's place as `items`."""
    if not _looks_like_catalogue(y):
        return y, items
    if items is not None:
        raise ValueError("there are two catalogues: one in y's place and one in items=; give one")
    return None, y


def _looks_like_catalogue(y: Any) -> bool:
    if isinstance(y, Items):
        return True
    if isinstance(y, Mapping) and y and all(isinstance(text, str) for text in y.values()):
        return True
    return is_table(y) and "item_id" in Table(y)


def _resolve_device(device: Any) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device must be None or a device such as 'cpu' or 'cuda:0', got {device!r}"
        ) from error


def _in_rows(values: np.ndarray, data: CodedInteractions) -> np.ndarray:
    """Give pairs as they are, and impressions as an object array of one array a row."""
    if data.kind == "pairs":
        return values
    rows = np.empty(data.n_rows, dtype=object)
    for row, part in enumerate(np.split(values, data.candidate_offsets[1:-1])):
        rows[row] = part
    return rows


def _progress(trainer: Trainer, max_epochs: int) -> str:
    score = f", validation score {trainer.scores[-1]:.4f}" if trainer.scores else ""
    n_epochs = len(trainer.losses)
    return f"epoch {n_epochs}/{max_epochs}: loss {trainer.losses[-1]:.4f}{score}"
