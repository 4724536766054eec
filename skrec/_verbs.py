"""The methods by which fitted recommenders answer, whatever computes their scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit

from skrec._common.checks import check_int
from skrec._data.coded import CodedInteractions
from skrec._data.encode import encode
from skrec._data.explanation import Explanation
from skrec._data.items import codes_among, codes_of, padded_lists
from skrec._data.row_arrays import RowArrays
from skrec._data.rows import as_table
from skrec._inference.explain import explain, one_row, read_positions
from skrec._inference.frames import frame_format
from skrec._inference.ranker import Ranker, in_rows
from skrec._training.start import items_by_keyword
from skrec._user_verbs import UserVerbs


class RankingVerbs(UserVerbs):
    """Methods that predict, score and recommend.

    A subclass has the parameters `scoring` and `unknown_items`, and the method `_scorer`.
    """

    scoring: str
    unknown_items: str

    def _scorer(self, items: Any = None) -> Ranker:
        """Return what scores items of the catalogue, extended by `items`."""
        raise NotImplementedError

    def _read(
        self, X: Any, items: Any, y: Any = None, labels: str = "ignored"
    ) -> tuple[CodedInteractions, Any]:
        """Encode X as positions in the catalogue, extended by `items`."""
        scorer = self._scorer(items)
        drop = "histories" if self.unknown_items == "ignore" else "nothing"
        data = encode(
            as_table(X),
            y,
            items=scorer.items,
            labels=labels,
            drop_unknown=drop,
            users=getattr(scorer, "known_users", None),
        )
        return data, scorer

    def predict_proba(self, X: Any, *, items: Any = None) -> np.ndarray:
        """Predict the probabilities of no click and of a click.

        Parameters
        ----------
        X : table or list of id lists, of n_samples rows
            Impressions, pairs or bare histories. A `clicked` column is ignored.
        items : Items or DataFrame-like, default=None
            New or changed items, used in this call only.

        Returns
        -------
        ndarray
            For impressions, an object array of shape (n_samples,) of arrays of shape
            (n_candidates, 2). For pairs, an array of shape (n_samples, 2). For bare histories,
            the click probabilities of all items, of shape (n_samples, n_items); columns are in
            the order of ``items_.ids``.
        """
        data, scorer = self._read(X, items)
        clicked = expit(scorer.logits(data))
        if data.kind == "histories":
            return clicked
        rows = in_rows(np.stack([1 - clicked, clicked], axis=1), data)
        return rows.view(RowArrays) if data.kind == "impressions" else rows

    def decision_function(self, X: Any, *, items: Any = None) -> np.ndarray:
        """Compute the scores by which candidates are ranked.

        Parameters
        ----------
        X : table or list of id lists, of n_samples rows
            Impressions, pairs or bare histories. A `clicked` column is ignored.
        items : Items or DataFrame-like, default=None
            New or changed items, used in this call only.

        Returns
        -------
        ndarray
            For impressions, an object array of shape (n_samples,) of arrays of shape
            (n_candidates,). For pairs, an array of shape (n_samples,). For bare histories, an
            array of shape (n_samples, n_items); columns are in the order of ``items_.ids``.
        """
        data, scorer = self._read(X, items)
        return in_rows(scorer.scores(data), data)

    def predict(self, X: Any, *, items: Any = None) -> np.ndarray:
        """Predict whether each candidate will be clicked.

        Parameters
        ----------
        X : table or list of id lists, of n_samples rows
            Impressions, pairs or bare histories. A `clicked` column is ignored.
        items : Items or DataFrame-like, default=None
            New or changed items, used in this call only.

        Returns
        -------
        ndarray of 0/1
            1 if the probability of a click is at least 0.5. The shape is that of
            `decision_function`.
        """
        data, scorer = self._read(X, items)
        return in_rows((scorer.logits(data) >= 0).astype(np.int64), data)

    @items_by_keyword
    def score(self, X: Any, y: Any = None, *, items: Any = None) -> float:
        """Return the quality of the ranking; greater is better.

        Parameters
        ----------
        X : table or list of id lists, of n_samples rows
            Impressions or pairs with clicks, or bare histories.
        y : array-like of shape (n_samples,), default=None
            Labels of pairs, if X has no `clicked` column.
        items : Items or DataFrame-like, default=None
            New or changed items, used in this call only.

        Returns
        -------
        float
            The metric `scoring`, negated if lower values are better. For pairs without
            `impression_id`, the AUC if `scoring` is computed within groups. For bare histories,
            the last click is hidden and ranked among all items of the catalogue.
        """
        data, scorer = self._read(X, items, y, labels="required")
        return scorer.monitor(self.scoring, data)

    def evaluate(
        self, X: Any, y: Any = None, *, metrics: Any = None, items: Any = None
    ) -> dict[str, float]:
        """Compute several metrics.

        Parameters
        ----------
        X : table or list of id lists, of n_samples rows
            Impressions or pairs with clicks, or bare histories. The last click of a bare history
            is hidden and ranked among all items of the catalogue.
        y : array-like of shape (n_samples,), default=None
            Labels of pairs, if X has no `clicked` column.
        metrics : str or list of str, default=None
            Names of metrics; see :mod:`skrec.metrics`. None uses `scoring`. Metrics of lists, such
            as "coverage@10", describe the items that `recommend` finds in the whole catalogue.
        items : Items or DataFrame-like, default=None
            New or changed items, used in this call only.

        Returns
        -------
        dict of str to float
            Values by metric. If a metric is computed within groups, ``n_groups_used`` is the
            number of groups it could be computed for; some metrics need both a click and a
            non-click.
        """
        data, scorer = self._read(X, items, y, labels="required")
        return scorer.evaluate(self.scoring if metrics is None else metrics, data)

    def explain(
        self, history: Any, item: Any, *, items: Any = None, columns: Any = None
    ) -> Explanation:
        """Explain the score of an item by the clicks of a history and by the words of the item.

        The share of a click is the score of the item for the whole history, minus the score for
        the history without this click. This is exact for every recommender and covers all terms of
        a score. Shares of clicks need not add up to the score: two clicks on similar items can
        replace each other.

        The shares of words are integrated gradients [1]_ of the network's score with respect to the
        embeddings of the tokens of the item's texts. A word's share says how far the score is above
        the one that it would have if the words said nothing, and all shares add up to this
        difference; other columns and other terms, such as popularity, are in
        ``score_without_words``. There are shares of words if the content operator reads tokens:
        ``LanguageModel``, and the operators that train word vectors, also inside of ``WithID``,
        ``TopicAware`` and ``MixtureOfExperts``. Operators such as ``ID``, ``Vectors``, ``Features``
        and ``SideNetwork`` read no tokens, and baselines have no gradients, so they have none. A
        language model with stored states is loaded for each call.

        Parameters
        ----------
        history : list of ids, or table of one row
            The clicked items, oldest first. A table may contain further columns that the
            recommender reads, such as `user_id`.
        item : int or str
            Id of the item whose score is explained.
        items : Items or DataFrame-like, default=None
            New or changed items, used in this call only.
        columns : list of str, default=None
            Columns of the catalogue for the table of clicks, for example ``["title"]``.

        Returns
        -------
        Explanation
            Has the data frames ``clicks`` and ``words``; see
            :class:`skrec.inspection.Explanation`.

        Raises
        ------
        ValueError
            If an id or a column is missing from the catalogue, or if there are several histories.
        TypeError
            If `history` is not flat, or `item` is not one id.

        Warns
        -----
        UserWarning
            If the shares of the words miss the score by more than 2% of the sum of their absolute
            values plus 0.5% of the score.

        References
        ----------
        .. [1] Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", ICML 2017,
           arXiv 1703.01365.
        """
        X = one_row(history)
        data, scorer = self._read(X, items)
        if hasattr(item, "__len__") and not isinstance(item, str):
            raise TypeError(f"explain takes the id of one item, got {item!r}")
        [code] = codes_of(scorer.items, [item], "item")
        return explain(scorer, data, read_positions(X, scorer.items), int(code), columns)

    def recommend(
        self,
        X: Any = None,
        k: int = 10,
        *,
        users: Any = None,
        items: Any = None,
        candidates: Any = None,
        exclude_seen: bool = True,
        as_frame: bool | str = False,
        columns: Any = None,
    ) -> Any:
        """Return the k items with the highest scores for each history.

        The search is exact.

        Parameters
        ----------
        X : list of id lists, or table with `history`, of n_samples rows, default=None
            The histories. Candidates are ignored.
        k : int, default=10
            Length of the lists.
        users : array-like of ids, shape (n_samples,), default=None
            Users whose remembered histories are used in place of X; see `fit` and `update`.
        items : Items or DataFrame-like, default=None
            New or changed items, used in this call only.
        candidates : array-like of ids, default=None
            Ids of the items to choose from, for example those in stock. None uses the whole
            catalogue.
        exclude_seen : bool, default=True
            Whether to leave out the items of the history.
        as_frame : bool or {"pandas", "polars"}, default=False
            Whether to return a data frame with one row per item of a list. If True, it is a data
            frame of the library that `set_output` has chosen, and of pandas otherwise.
        columns : list of str, default=None
            Columns of the catalogue that the data frame also contains, for example ``["title"]``.

        Returns
        -------
        ids : ndarray of shape (n_samples, k)
            Ids in descending order of their scores; ties are in catalogue order. Lists with fewer
            than k items are filled with -1 (int ids) or None (str ids).
        scores : ndarray of float32, shape (n_samples, k)
            Scores as returned by `decision_function`; -inf where there is no item.
        frame : DataFrame
            Returned instead of `ids` and `scores` if `as_frame` is not False. It has the columns
            ``row`` (position in X, from 0; with `users`, it is ``user``), ``rank`` (from 1), the id
            under the name of the catalogue's id column, ``score``, ``probability`` as returned by
            `predict_proba`, and `columns`. Lists with fewer than k items have fewer rows.
        """
        check_int("k", k)
        # histories before the catalogue, which may grow meanwhile, but not lose an item
        rows = self._rows_of(X, users)
        data, scorer = self._read(rows, items)
        known = scorer.items
        form = frame_format(self, as_frame, columns, known, "row" if users is None else "user")
        among = None if candidates is None else codes_among(known, candidates)
        codes, scores = scorer.recommend(data, min(k, known.n_items), exclude_seen, among)
        if form is not None:
            keys = np.arange(data.n_rows) if users is None else rows["user_id"].combine_chunks()
            return form.frame(keys, codes, scores, scorer.calibration)
        return padded_lists(known, codes, scores, k)
