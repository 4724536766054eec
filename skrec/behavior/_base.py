"""Base class of behavior operators."""

from __future__ import annotations

from torch import nn

from skrec._operators import JointOperator


class BehaviorOperator(JointOperator):
    """Base class of behavior operators, which turn clicked items into user vectors.

    A subclass defines `build`, which returns a module with the method ``forward(x, mask)``. It
    reads the vectors of the clicked items (B, L, D), oldest first, and the mask (B, L) of clicks
    that are not padding. Padding comes last in each row. Each row has at least one click, because
    an empty history is replaced by one learned vector. The module returns user vectors (B, K, D).

    The module may also have a method ``penalty(users)``, which returns a number that is added to
    the training loss. It reads user vectors (n, K, D) that `forward` returned for histories or, if
    the operator is candidate-aware, for candidates that are not padding.

    Attributes
    ----------
    candidate_aware : bool
        Whether ``forward`` also reads the candidates (B, C, D). It then returns (B, C, K, D).
    causal : bool
        Whether the module also has a method ``states(x, mask)``, which returns the user vectors
        (B, L, K, D) after each click. The vector after click l is the one that ``forward`` returns
        for the history that ends with this click. Training then learns all clicks of a history in
        one pass. If ``reads_users`` is true, ``states`` also reads ``user``.
    late_fusion : bool
        Whether there is one user vector per click, K = L. The predictor then scores each of them
        separately, and the scores are averaged over the clicks. Padding is ignored.
    reads_tokens : bool
        Whether ``forward`` reads the tokens of the clicked items (B, L, T, D) and their mask
        (B, L, T) instead of their vectors. Padding comes last in each item. An item without
        tokens has its vector as its only token.
    reads_users : bool
        Whether ``forward`` also reads ``user`` (B,), the code of the user of each row. Codes of
        known users start at 1, and 0 is an unknown user. The number of known users is passed to
        ``build(width, n_users)``.
    side_columns : list of str or None
        Names of columns that the operator reads in addition to the item vectors. The last axis of
        x and of the candidates then has D more entries, which contain the mean of the embeddings
        of these columns.
    """

    candidate_aware = False
    causal = False
    late_fusion = False
    reads_tokens = False
    reads_users = False
    side_columns: list[str] | None = None

    def build(self, width: int) -> nn.Module:
        """Build the module that maps clicked items (B, L, width) to user vectors (B, K, width).

        Parameters
        ----------
        width : int
            Size of item and user vectors, D.

        Returns
        -------
        torch.nn.Module
        """
        raise NotImplementedError
