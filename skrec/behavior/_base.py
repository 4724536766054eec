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

    Attributes
    ----------
    candidate_aware : bool
        Whether ``forward`` also takes the candidates (B, C, D), and returns (B, C, K, D).
    late_fusion : bool
        Whether K is L, one user vector a click: the predictor scores each by itself, and the
        scores are averaged over the real clicks. Vectors in masked places do not count.
    """

    candidate_aware = False
    late_fusion = False

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
