"""The methods by which fitted recommenders answer, whatever computes their scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit

from skrec._common.checks import check_int
from skrec._data.coded import CodedInteractions
from skrec._data.encode import encode
from skrec._data.explanation import Explanation
from skrec._data.items import codes_of, padded_lists
from skrec._data.row_arrays import RowArrays
from skrec._data.rows import as_table
from skrec._inference.explain import explain, read_positions
from skrec._inference.frames import frame_format
from skrec._inference.ranker import Ranker, in_rows
from skrec._inference.rules import read_rules
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
            context=getattr(scorer, "context", None),
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
        self,
        history: Any = None,
        item: Any = None,
        *,
        user: Any = None,
        items: Any = None,
        columns: Any = None,
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
        history : list of ids, or table of one row, default=None
            The clicked items, oldest first. A table may contain further columns that the
            recommender reads, such as `user_id`.
        item : int or str
            Id of the item whose score is explained.
        user : int or str, default=None
            Id of a user whose history is remembered, in place of `history`.
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
            If an id or a column is missing from the catalogue, if there are several histories, if
            there is not exactly one of `history` and `user`, or if a language model reads the item
            in several windows.
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
        X = self._row_of(history, user)
        data, scorer = self._read(X, items)
        if item is None or hasattr(item, "__len__") and not isinstance(item, str):
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
        exclude: Any = None,
        where: Any = None,
        at_most: Any = None,
        boost: Any = None,
        diversity: float = 0.0,
        exclude_seen: bool = True,
        as_frame: bool | str = False,
        columns: Any = None,
    ) -> Any:
        """Return the k best items for each history.

        The search is exact. Rules apply in this order: `candidates`, `exclude`, `where` and
        `exclude_seen` select the items that may be listed; `boost` changes their scores;
        `at_most` and `diversity` choose the list among the best ones.

        Parameters
        ----------
        X : list of id lists, or table with `history`, of n_samples rows, default=None
            The histories. Candidates are ignored unless ``candidates="row"``.
        k : int, default=10
            Length of the lists.
        users : array-like of ids, shape (n_samples,), default=None
            Users whose remembered histories are used in place of X; see `fit` and `update`.
        items : Items or DataFrame-like, default=None
            New or changed items, used in this call only.
        candidates : array-like of ids, n_samples lists of ids, or "row", default=None
            Ids of the items to choose from, for example those in stock: one flat list for all
            rows, or one list per row. "row" chooses from the column `candidates` of X. None uses
            the whole catalogue.
        exclude : array-like of ids, or n_samples lists of ids, default=None
            Ids of items to leave out: one flat list for all rows, or one list per row. With
            ``unknown_items="ignore"``, ids that are missing from the catalogue are ignored.
        where : pyarrow expression, or list of n_samples expressions, default=None
            Condition on the columns of the catalogue that items must satisfy, such as
            ``pyarrow.compute.field("price") < 20``: one for all rows, or one per row, where None
            is no condition. Null counts as not satisfied. Columns have the Arrow types of
            :meth:`Items.column`.
        at_most : mapping of str to int, default=None
            Largest number of items of each category in a list, by the name of a column with the
            role "category" or "multi-category". Items are listed in the order of their scores,
            and skipped if a category of theirs has reached its number. An item with several
            categories counts for each of them. Null categories are not limited.
        boost : str, array-like of shape (n_items,), Series or mapping, default=None
            Numbers to add to the scores: the name of a column with the role "number", numbers in
            catalogue order, or a mapping of ids to numbers, where other items get 0. A pandas
            Series is a mapping if its index is not a default one, or is named as the id column.
        diversity : float, default=0.0
            Weight, in [0, 1), of the difference between the items of a list, by maximal marginal
            relevance [1]_. Items are chosen one by one: the next item has the highest
            ``(1 - diversity) * relevance - diversity * similarity``. The relevance is the score,
            scaled to the interval [0, 1] over the 200 best items of the row (2 k, if that is
            more), among which items are chosen. The similarity is the greatest cosine of the
            vector of the item with those of the items that were chosen before. With `at_most`,
            the 200 items contain at most 10 times its number of each category; if that leaves too
            few items, the list continues with the next best ones in the same way. 0 lists items
            by their scores.
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
            Ids in descending order of their scores; ties are in catalogue order. With
            `diversity`, ids are in the order in which they were chosen. Lists with fewer than k
            items are filled with -1 (int ids) or None (str ids).
        scores : ndarray of float32, shape (n_samples, k)
            Scores as returned by `decision_function`, with the boost added; -inf where there is
            no item.
        frame : DataFrame
            Returned instead of `ids` and `scores` if `as_frame` is not False. It has the columns
            ``row`` (position in X, from 0; with `users`, it is ``user``), ``rank`` (from 1), the id
            under the name of the catalogue's id column, ``score``, ``probability`` as returned by
            `predict_proba`, and `columns`. Lists with fewer than k items have fewer rows.

        Raises
        ------
        ValueError, TypeError
            If a rule is invalid. The message names the column or the ids.

        References
        ----------
        .. [1] Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering
           Documents and Producing Summaries", SIGIR 1998.
        """
        check_int("k", k)
        # histories before the catalogue, which may grow meanwhile, but not lose an item
        rows = self._rows_of(X, users)
        data, scorer = self._read(rows, items)
        known = scorer.items
        form = frame_format(self, as_frame, columns, known, "row" if users is None else "user")
        rules = read_rules(
            known,
            data,
            candidates=candidates,
            exclude=exclude,
            where=where,
            at_most=at_most,
            boost=boost,
            diversity=diversity,
            removed=scorer.removed,
            drop_unknown=self.unknown_items == "ignore",
        )
        if rules.diversity and not scorer.has_vectors:
            raise ValueError(
                f"diversity compares item vectors, which {type(self).__name__} does not have; use "
                "ContentKNN or ContentRecommender, or limit categories with at_most"
            )
        codes, scores = scorer.recommend(data, min(k, known.n_items), exclude_seen, rules)
        if form is not None:
            logits = scorer.logits_of(data, codes, scores if rules.boost is None else None)
            keys = np.arange(data.n_rows) if users is None else rows["user_id"].combine_chunks()
            return form.frame(keys, codes, scores, logits)
        return padded_lists(known, codes, scores, k)
