"""The contract of behavior operators."""

from __future__ import annotations

from torch import nn

from skrec._operators import JointOperator


class BehaviorOperator(JointOperator):
    """Turns the vectors of clicked items into user vectors.

    A subclass defines `build`. The module's ``forward(x, mask)`` takes the clicked items'
    vectors (B, L, D), oldest first, and the mask (B, L) of real clicks, which come first in
    their row; each has at least one (an empty history comes as one learned vector). It returns
    user vectors (B, K, D).

    A module may have a method ``penalty(users)``: a number that training adds to the loss, made
    of the user vectors (n, K, D) that `forward` returned for histories, or for real candidates.

    Attributes
    ----------
    candidate_aware : bool
        Whether ``forward`` also takes the candidates (B, C, D), and returns (B, C, K, D).
    late_fusion : bool
        Whether K is L, one user vector a click: the predictor scores each by itself, and the
        scores are averaged over the real clicks. Vectors in masked places do not count.
    reads_tokens : bool
        Whether x is the clicked items' tokens (B, L, T, D) and the mask (B, L, T). Real tokens
        come first in their item. An item without tokens has one, its vector.
    reads_users : bool
        Whether ``forward`` also takes ``user`` (B,), the code of each row's user from 1 up, or 0
        for an unknown one; ``build(width, n_users)`` is told how many there are.
    side_columns : list of str or None
        Columns whose values the operator reads beside the items' vectors: x and the candidates
        then have D more entries, the mean of these columns' embeddings.
    """

    candidate_aware = False
    late_fusion = False
    reads_tokens = False
    reads_users = False
    side_columns: list[str] | None = None

    def build(self, width: int) -> nn.Module:
        """Make the module that maps clicked items (B, L, width) to user vectors (B, K, width).

        Parameters
        ----------
        width : int
            D, the size of item and user vectors.

        Returns
        -------
        torch.nn.Module
        """
        raise NotImplementedError
