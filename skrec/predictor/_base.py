"""The contract of predictors."""

from __future__ import annotations

import torch
from torch import nn

from skrec._operators import JointOperator
from skrec.nn import masked_softmax


class Predictor(JointOperator):
    """Scores candidates against user vectors.

    A subclass defines `build`. The module's ``forward(user, user_mask, item)`` takes user
    vectors (B, C or 1, K, D), the mask (B, K) of real ones, and candidates (B, C, D); it
    returns scores (B, C), which are logits. Modules for one vector a user derive from
    ``OneVectorPredictor``, which reduces K.
    A module that can score the whole catalogue faster than pair by pair says how in
    ``score_all(user (H, D), items (N, D)) -> (H, N)``.
    """

    def build(self, width: int) -> nn.Module:
        """Make the module that scores candidates (B, C, width).

        Parameters
        ----------
        width : int
            D, the size of item and user vectors.

        Returns
        -------
        torch.nn.Module
        """
        raise NotImplementedError


class OneVectorPredictor(nn.Module):
    """Base of modules that take one vector a user; several are reduced for each candidate.

    The K vectors are weighted by the softmax of their dot products with the candidate. A
    subclass defines `score`.
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(
        self, user: torch.Tensor, user_mask: torch.Tensor, item: torch.Tensor
    ) -> torch.Tensor:
        """Score candidates.

        Parameters
        ----------
        user : tensor of shape (B, C, K, D) or (B, 1, K, D)
            User vectors.
        user_mask : bool tensor of shape (B, K)
            True where a user vector is real.
        item : tensor of shape (B, C, D)
            The candidates' vectors.

        Returns
        -------
        tensor of shape (B, C)
        """
        if user.shape[2] == 1:  # the softmax over one vector is 1
            return self.score(user.squeeze(2), item)
        user = user.expand(-1, item.shape[1], -1, -1)  # (B, C, K, D)
        scores = (user @ item.unsqueeze(-1)).squeeze(-1)  # (B, C, K)
        weights = masked_softmax(scores, user_mask.unsqueeze(1))
        return self.score((weights.unsqueeze(2) @ user).squeeze(2), item)

    def score(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Score candidates against one vector a user.

        Parameters
        ----------
        user : tensor of shape (B, C, D) or (B, 1, D)
            User vectors.
        item : tensor of shape (B, C, D)
            The candidates' vectors.

        Returns
        -------
        tensor of shape (B, C)
        """
        raise NotImplementedError
