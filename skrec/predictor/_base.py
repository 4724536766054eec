"""Base classes of predictors."""

from __future__ import annotations

import torch
from torch import nn

from skrec._operators import JointOperator
from skrec.nn import masked_softmax


class Predictor(JointOperator):
    """Base class of predictors, which score candidates for user vectors.

    A subclass defines `build`, which returns a module with the method
    ``forward(user, user_mask, item)``. It reads the user vectors (B, C or 1, K, D), the mask
    (B, K) of vectors that are not padding, and the candidates (B, C, D). It returns scores
    (B, C), which are logits. Modules that read one vector per user derive from
    ``OneVectorPredictor``, which reduces the K vectors to one.

    If a module can score the whole catalogue faster than pair by pair, it defines the method
    ``score_all(user (H, D), items (N, D)) -> (H, N)``. If scores are dot products, it derives from
    ``DotLikePredictor``, which defines this method and makes training against many items fast.

    Attributes
    ----------
    is_fast : bool
        Whether all items are scored at little cost. Recommenders whose `n_negatives` is "auto" then
        learn from many negatives.
    is_network : bool
        Whether the module reads the entries of both vectors together, as a perceptron does. The
        context of a row can then be a field of its own. The module is built with twice the width:
        the second half of the user vector is the context, and that of the item vector is zero.

    See Also
    --------
    OneVectorPredictor : Base class of modules that read one vector per user.
    """

    is_fast = False
    is_network = False

    def build(self, width: int) -> nn.Module:
        """Build the module that scores candidates (B, C, width).

        Parameters
        ----------
        width : int
            Size of item and user vectors, D.

        Returns
        -------
        torch.nn.Module
        """
        raise NotImplementedError


class OneVectorPredictor(nn.Module):
    """Base class of modules that read one vector per user.

    If a user has K vectors, they are reduced to one per candidate: their mean, weighted by the
    softmax of their dot products with the candidate. A subclass defines `score`.

    See Also
    --------
    Predictor : Base class of the operators that build such modules.
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
            True for user vectors and False for padding.
        item : tensor of shape (B, C, D)
            Item vectors of the candidates.

        Returns
        -------
        tensor of shape (B, C)
        """
        if user.shape[2] == 1:  # the weight of a single vector is 1
            return self.score(user.squeeze(2), item)
        user = user.expand(-1, item.shape[1], -1, -1)  # (B, C, K, D)
        scores = (user @ item.unsqueeze(-1)).squeeze(-1)  # (B, C, K)
        weights = masked_softmax(scores, user_mask.unsqueeze(1))
        return self.score((weights.unsqueeze(2) @ user).squeeze(2), item)

    def score(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Score candidates for one vector per user.

        Parameters
        ----------
        user : tensor of shape (B, C, D) or (B, 1, D)
            User vectors.
        item : tensor of shape (B, C, D)
            Item vectors of the candidates.

        Returns
        -------
        tensor of shape (B, C)
        """
        raise NotImplementedError


class DotLikePredictor(OneVectorPredictor):
    """Base class of modules whose scores are dot products of transformed vectors, plus a bias.

    A subclass defines `of_users` and, if it transforms the items, `of_items` and `bias_of`.
    """

    def of_users(self, user: torch.Tensor) -> torch.Tensor:
        """Transform user vectors.

        Parameters
        ----------
        user : tensor of shape (..., D)
            User vectors.

        Returns
        -------
        tensor of shape (..., D)
        """
        raise NotImplementedError

    def of_items(self, item: torch.Tensor) -> torch.Tensor:
        """Transform item vectors; the default is to leave them unchanged.

        Parameters
        ----------
        item : tensor of shape (..., D)
            Item vectors.

        Returns
        -------
        tensor of shape (..., D)
        """
        return item

    def bias_of(self, item: torch.Tensor) -> torch.Tensor | None:
        """Return what is added to the scores of items; the default is nothing.

        Parameters
        ----------
        item : tensor of shape (..., D)
            Item vectors.

        Returns
        -------
        tensor of shape (...), or None
        """
        return None

    def score(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Score candidates for one vector per user.

        Parameters
        ----------
        user : tensor of shape (B, C, D) or (B, 1, D)
            User vectors.
        item : tensor of shape (B, C, D)
            Item vectors of the candidates.

        Returns
        -------
        tensor of shape (B, C)
        """
        scores = (self.of_users(user) * self.of_items(item)).sum(dim=-1)
        bias = self.bias_of(item)
        return scores if bias is None else scores + bias

    def score_all(self, user: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Score all items for all users.

        Parameters
        ----------
        user : tensor of shape (H, D)
            User vectors.
        items : tensor of shape (N, D)
            Item vectors.

        Returns
        -------
        tensor of shape (H, N)
        """
        scores = self.of_users(user) @ self.of_items(items).T
        bias = self.bias_of(items)
        return scores if bias is None else scores + bias
