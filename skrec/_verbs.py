"""What a fitted recommender answers: each verb reads X, asks the scorer, and gives rows back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
import pyarrow as pa
from scipy.special import expit
from sklearn.utils.validation import check_is_fitted

from skrec._catalogue import Catalogue
from skrec._coded import CodedInteractions
from skrec._interactions import encode
from skrec._items import Items
from skrec._named_items import codes_among, codes_of, ids_of
from skrec._network import Network
from skrec._operators import check_int
from skrec._scoring import Scorer, in_rows
from skrec.behavior import BehaviorOperator
from skrec.content import ContentOperator
from skrec.content._side import WithSide


class Verbs:
    """The prediction methods of ``ContentRecommender``."""

    # Pipeline.score routes the name even where no weights are given, and they count in fit alone
    __metadata_request__score: dict[str, bool | None] = {"sample_weight": None}

    items_: Items
    content_: ContentOperator
    side_: ContentOperator | None
    users_: pa.Array | None
    behavior_: BehaviorOperator
    network_: Network
    calibration_: tuple[float, float]
    max_history: int
    scoring: str
    unknown_items: str
    _cache: Catalogue

    def predict_proba(self, X: Any, *, items: Any = None) -> np.ndarray:
        """Estimate the probabilities of not clicked and clicked.

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
        data, scorer = self._read(X, items)
        clicked = expit(scorer.logits(data))
        if data.kind == "histories":
            return clicked
        return in_rows(np.stack([1 - clicked, clicked], axis=1), data)

    def decision_function(self, X: Any, *, items: Any = None) -> np.ndarray:
        """Compute scores: what candidates are ranked by.

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
        data, scorer = self._read(X, items)
        return in_rows(scorer.scores(data), data)

    def predict(self, X: Any, *, items: Any = None) -> np.ndarray:
        """Say whether each candidate will be clicked: a probability of at least one half.

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
        data, scorer = self._read(X, items)
        return in_rows((scorer.logits(data) >= 0).astype(np.int64), data)

    def score(self, X: Any, y: Any = None, *, items: Any = None) -> float:
        """Measure the quality of the ranking; greater is better.

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
        data, scorer = self._read(X, items, y, labels="required")
        return scorer.monitor(self.scoring, data)

    def evaluate(
        self, X: Any, y: Any = None, *, metrics: Any = None, items: Any = None
    ) -> dict[str, float]:
        """Compute several metrics at once.

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
        data, scorer = self._read(X, items, y, labels="required")
        return scorer.evaluate(self.scoring if metrics is None else metrics, data)

    def recommend(
        self,
        X: Any,
        k: int = 10,
        *,
        items: Any = None,
        candidates: Any = None,
        exclude_seen: bool = True,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the k best items of the whole catalogue for each history, without approximation.

        Parameters
        ----------
        X : list of id lists, or table with `history`, of n_samples rows
            The histories; their candidates are ignored.
        k : int, default=10
            Length of the lists.
        items : Items or DataFrame-like, default=None
            New or changed items, for this call only.
        candidates : array-like of ids, default=None
            The items to choose from, such as those in stock; None takes the whole catalogue.
        exclude_seen : bool, default=True
            Whether the items of a history are left out of its list.

        Returns
        -------
        ids : ndarray of shape (n_samples, k)
            Best first; of equal ones the first in the catalogue. Where fewer than k items are
            left: -1 (int ids) or None (str ids).
        scores : ndarray of float32, shape (n_samples, k)
            What `decision_function` gives; -inf where there is no item.
        """
        check_int("k", k)
        data, scorer = self._read(X, items)
        known = scorer.catalogue.items
        among = None if candidates is None else codes_among(known, candidates)
        codes, scores = scorer.recommend(data, k, exclude_seen, among)
        return ids_of(known, codes), scores

    def similar_items(
        self, ids: Any, k: int = 10, *, items: Any = None, candidates: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the k items whose vectors are most like those of some items.

        Parameters
        ----------
        ids : array-like of ids, shape (n_samples,)
            The items to compare with.
        k : int, default=10
            Length of the lists.
        items : Items or DataFrame-like, default=None
            New or changed items, for this call only.
        candidates : array-like of ids, default=None
            The items to choose from; None takes the whole catalogue.

        Returns
        -------
        ids : ndarray of shape (n_samples, k)
            Most similar first, without the item itself. Where fewer than k items are left: -1
            (int ids) or None (str ids).
        scores : ndarray of float32, shape (n_samples, k)
            Cosines of the item vectors; -inf where there is no item.
        """
        check_int("k", k)
        check_is_fitted(self, "network_")
        scorer = self._scorer(items)
        known = scorer.catalogue.items
        own = codes_of(known, ids, "ids")
        among = None if candidates is None else codes_among(known, candidates)
        codes, scores = scorer.similar(own, k, among)
        return ids_of(known, codes), scores

    def add_items(self, items: Any) -> Self:
        """Make the catalogue larger, without training: new items, and new versions of old ones.

        From here on they are known to all verbs, as those of `fit` are. An item that leaves the
        shop stays in the catalogue, for histories hold it; keep it out of lists with
        ``recommend(X, candidates=...)``.

        Parameters
        ----------
        items : Items or DataFrame-like
            With the columns of the catalogue; further ones are left out.

        Returns
        -------
        self
            Where this fails, the catalogue is as it was.
        """
        check_is_fitted(self, "network_")
        self._cache = self._catalogue().extend(items, self.network_)
        self.items_ = self._cache.items
        return self

    def transform(self, X: Any, *, items: Any = None) -> np.ndarray:
        """Compute user vectors.

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

        Raises
        ------
        ValueError
            Where the behavior operator reads the candidates, or scores each click by itself.
        """
        data, scorer = self._read(X, items)
        if not self.network_.has_user_vectors:
            reads = "scores each click" if self.network_.late_fusion else "reads the candidates"
            raise ValueError(f"{self.behavior_!r} {reads}, so users have no vector of their own")
        users = scorer.users(data)
        return users.squeeze(1) if users.shape[1] == 1 else users

    def item_vectors(self, items: Any = None) -> np.ndarray:
        """Compute item vectors.

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
        asked = Catalogue(self.items_.conform(items), self._reader())
        return asked.vectors(self.network_).cpu().numpy()

    def save(self, path: Any, *, include_base: bool = False) -> Self:
        """Save the fitted recommender to a folder, which holds no code and no pickle.

        The folder has the weights as safetensors, the catalogue as parquet, all else as JSON, and
        a README that says how to load it. It is written whole: a process that dies half-way
        leaves an older one as it was.

        Parameters
        ----------
        path : str or Path
            The folder. One with a saved recommender is replaced; anything else there is not.
        include_base : bool, default=False
            Whether the weights of a pretrained language model are saved, too. Without, its name
            and revision are, and `load` reads it from where it came from.

        Returns
        -------
        self

        Raises
        ------
        FileExistsError
            Where `path` is something else than a saved recommender.
        TypeError, ValueError
            For what can't be saved: the message says what to do.

        See Also
        --------
        skrec.load : Reads the folder.
        """
        from skrec._saving import save

        save(self, path, include_base=include_base)
        return self

    @classmethod
    def load(cls, path: Any, *, device: Any = None, trusted: Iterable[Any] = ()) -> Any:
        """Load what `save` wrote; the same as :func:`skrec.load`.

        Parameters
        ----------
        path : str or Path
            The folder.
        device : str or torch.device, default=None
            Where to compute; None takes the device that the recommender was made for.
        trusted : iterable of classes and str, default=()
            What may be built beside skrec's own classes.

        Returns
        -------
        ContentRecommender
        """
        from skrec._saving import load

        return load(path, device=device, trusted=trusted)

    def _catalogue(self) -> Catalogue:
        """Return the fitted catalogue, made again where a pickle left it out."""
        if not hasattr(self, "_cache"):
            self._cache = Catalogue(self.items_, self._reader())
        return self._cache

    def _reader(self) -> ContentOperator | WithSide:
        """Return what prepares items for the network."""
        return self.content_ if self.side_ is None else WithSide(self.content_, self.side_)

    def _scorer(self, items: Any = None) -> Scorer:
        catalogue = self._catalogue()
        if items is not None:
            catalogue = catalogue.extend(items, self.network_)
        return Scorer(self.network_, catalogue, self.max_history, self.calibration_)

    def _read(
        self, X: Any, items: Any, y: Any = None, labels: str = "ignored"
    ) -> tuple[CodedInteractions, Scorer]:
        """Encode X against the fitted catalogue, or against one that `items` extends."""
        check_is_fitted(self, "network_")
        scorer = self._scorer(items)
        drop = "histories" if self.unknown_items == "ignore" else "nothing"
        known = scorer.catalogue.items
        data = encode(X, y, items=known, labels=labels, drop_unknown=drop, users=self.users_)
        return data, scorer
