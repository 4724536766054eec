"""Base class of the baselines."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Self

import numpy as np
import pyarrow as pa
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from skrec import _saving as saving
from skrec._common.checks import check_choice, check_real
from skrec._common.locks import lock_of
from skrec._common.random import as_generator
from skrec._data.co_clicks import count_clicks, with_zeros
from skrec._data.coded import CodedInteractions
from skrec._data.encode import encode
from skrec._data.items import Items
from skrec._data.rows import as_table, kind_of, read_user_ids
from skrec._data.table import Table
from skrec._inference.history_ranker import HistoryRanker, Matcher
from skrec._training.calibration import fit_sigmoid
from skrec._training.from_log import read_rows
from skrec._training.holdout import hold_out
from skrec._training.start import items_by_keyword, read_catalogue
from skrec._verbs import RankingVerbs
from skrec.baselines._restored import restored_state
from skrec.metrics._registry import get_scoring


class Baseline(RankingVerbs, ClassifierMixin, BaseEstimator):
    """Base class of recommenders that are fitted in closed form.

    A subclass defines `_fit_clicks` and `_matcher`, and `_fit_items` if there is something to fit
    that does not depend on the clicks.
    """

    # `load` accepts these fitted attributes, and those of the subclass, and no others
    classes_: np.ndarray
    items_: Items
    popularity_: np.ndarray
    n_clicks_: np.ndarray | None
    calibration_: tuple[float, float]
    histories_: pa.Table | None

    scoring: str
    calibration: str | None
    validation_fraction: float
    unknown_items: str
    random_state: Any

    # requested by default, so that users need not call set_fit_request(items=True)
    __metadata_request__fit = {"items": True, "columns": True}
    __metadata_request__predict = {"items": True}
    __metadata_request__predict_proba = {"items": True}
    __metadata_request__decision_function = {"items": True}
    # Pipeline.score routes sample_weight even if it is None
    __metadata_request__score = {"items": True, "sample_weight": None}

    @items_by_keyword
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        items: Any = None,
        columns: Mapping[str, str | None] | None = None,
        sample_weight: Any = None,
    ) -> Self:
        """Fit the model to clicks.

        Parameters
        ----------
        X : table or list of id lists, of n_samples rows
            Impressions (columns `history`, `candidates` and `clicked`), pairs (columns `history`
            and `candidate`, with labels in `clicked` or y), or bare histories. Rows with the same
            `user_id`, if X has this column, belong to one user. Without it, rows of impressions
            and pairs with the same history do. Or a log with one click per row; see
            :meth:`skrec.ContentRecommender.fit`.
        y : array-like of shape (n_samples,), or a catalogue, default=None
            Labels 0/1 of pairs. A catalogue in this place is used as `items`.
        items : Items or DataFrame-like with the id column, default=None
            The catalogue. In searches and cross-validation, pass it as ``Items(df)``.
        columns : mapping, default=None
            Names of the columns of a log, such as ``{"user": "uid", "item": "sku", "time": "ts"}``.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row in counts and in the calibration. Rows with weight 0 are ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If parameters or data are invalid.
        """
        with self._writing():
            self._check_parameters()
            rows = read_rows(X, y, items, columns, sample_weight)
            table = as_table(rows.X)
            kind_of(table)  # first, because X and the catalogue may be swapped
            catalogue = read_catalogue(rows.items, self.unknown_items)
            data = encode(
                table,
                rows.y,
                items=catalogue,
                labels="required",
                drop_unknown="all" if self.unknown_items == "ignore" else "nothing",
                sample_weight=sample_weight,
                users=read_user_ids(table) if "user_id" in table else None,
            )
            if data.weight is not None:
                data = data.take(np.flatnonzero(data.weight))
            prepared = self._fit_items(table, catalogue)
            calibration = self._calibrate(data, catalogue, prepared)
            fitted = self._fit_all(data, catalogue, prepared)
            n_clicks = count_clicks(data, catalogue.n_items)
            self.__dict__.update(
                fitted,
                items_=catalogue,
                calibration_=calibration,
                n_clicks_=n_clicks,
                histories_=rows.histories,
            )
            self.classes_ = np.array([0, 1])
        return self

    def _fit_all(
        self, data: CodedInteractions, items: Items, prepared: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the fitted attributes that depend on the clicks or on the items."""
        counts = self._count_clicks(data, items.n_items, prepared)
        popularity = (counts / (counts.max() or 1.0)).astype(np.float32)
        return {**prepared, "popularity_": popularity, **self._fit_clicks(data, items.n_items)}

    def _calibrate(
        self, data: CodedInteractions, items: Items, prepared: dict[str, Any]
    ) -> tuple[float, float]:
        """Return a and b, fitted to held-out rows of which a second model knows nothing."""
        if self.calibration is None or data.clicked is None:
            return 1.0, 0.0
        rng = as_generator(self.random_state)
        training, valid = hold_out(data, self.validation_fraction, rng)
        if valid is None:
            return 1.0, 0.0
        fitted = self._fit_all(training, items, prepared)
        assert valid.clicked is not None
        weight = None if valid.weight is None else valid.weight[valid.row_of_candidate()]
        scores = self._ranker_of(fitted, items, items, (1.0, 0.0)).scores(valid)
        return fit_sigmoid(scores, valid.clicked, weight)

    def _check_parameters(self) -> None:
        """Raise a ValueError or TypeError if a parameter is invalid."""
        get_scoring(self.scoring)
        check_choice("calibration", self.calibration, ("sigmoid", None))
        check_real("validation_fraction", self.validation_fraction, 0, 1, closed="none")
        check_choice("unknown_items", self.unknown_items, ("raise", "ignore"))

    def _check_fitted(self) -> None:
        """Raise a ValueError if the fitted attributes that `load` read do not fit together."""

    def _fit_items(self, table: Table, items: Items) -> dict[str, Any]:
        """Return the fitted attributes that do not depend on the clicks."""
        return {}

    def _count_clicks(
        self, data: CodedInteractions, n_items: int, prepared: dict[str, Any]
    ) -> np.ndarray:
        """Return the number of clicks on each item (N,), for histories that say nothing."""
        return count_clicks(data, n_items)

    def _fit_clicks(self, data: CodedInteractions, n_items: int) -> dict[str, Any]:
        """Return the fitted attributes that depend on the clicks."""
        return {}

    def _matcher(self, fitted: dict[str, Any], own: Items, items: Items) -> Matcher | None:
        """Return what scores `items` for histories; they begin with the catalogue `own`."""
        raise NotImplementedError

    def _ranker_of(
        self,
        fitted: dict[str, Any],
        own: Items,
        items: Items,
        calibration: tuple[float, float],
    ) -> HistoryRanker:
        """Return what ranks items with some fitted attributes."""
        known = fitted["popularity_"]
        popularity = np.zeros(items.n_items, dtype=np.float32)
        popularity[: len(known)] = known
        match = self._matcher(fitted, own, items)
        n_clicks = with_zeros(fitted.get("n_clicks_"), items.n_items)
        decay = getattr(self, "decay", 1.0)
        return HistoryRanker(items, calibration, popularity, match, decay, n_clicks)

    def _scorer(self, items: Any = None) -> HistoryRanker:
        """Return what predicts with the current model, which another thread may replace."""
        check_is_fitted(self, "items_")
        now = self.__dict__.copy()  # all attributes of one model
        own = now["items_"]
        known = own if items is None else own.extend(items)
        return self._ranker_of(now, own, known, now["calibration_"])

    def _writing(self) -> AbstractContextManager[None]:
        """Let one thread at a time change the fitted attributes. Prediction needs no lock."""
        return lock_of(self).held()

    def save(self, path: Any, *, include_base: bool = False) -> Self:
        """Save the fitted baseline to a folder without code and without pickles.

        Parameters
        ----------
        path : str or Path
            The folder. A saved recommender at this path is replaced; other contents are not.
        include_base : bool, default=False
            Whether to save the weights of a pretrained language model. If False, its name and
            revision are saved, and `load` reads the model from its original source.

        Returns
        -------
        self

        Raises
        ------
        FileExistsError
            If `path` exists and is not a saved recommender.
        TypeError, ValueError
            If a part of the baseline cannot be saved.

        See Also
        --------
        skrec.load : Reads the folder.
        """
        package = __name__.rpartition(".")[0]
        kind = next(c for c in type(self).__mro__ if c.__module__.startswith(f"{package}."))
        check = partial(restored_state, kind)
        saving.save(self, kind, path, include_base=include_base, check=check)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.input_tags.two_d_array = False
        tags.classifier_tags.multi_class = False
        return tags
