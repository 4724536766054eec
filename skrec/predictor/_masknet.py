"""Blocks that multiply features by a mask computed from the user and the item."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from skrec._common.checks import check_choice, check_hidden, check_int, check_real
from skrec.nn import MLP as Perceptron
from skrec.nn import MaskBlock
from skrec.predictor._base import OneVectorPredictor, Predictor


class MaskNet(Predictor):
    r"""Mask blocks over ``x0 = [user; item]``, which multiply features by a learned mask.

    With ``mask(x0) = V' relu(V x0 + c) + c'``, a block [1]_ maps its input h to
    ``relu(norm(W (mask(x0) * h)))``. The weight of a feature therefore depends on all other
    features. Use it to rank short lists when many clicks are available.

    Do not use it if clicks are few: it has the most weights of all predictors.

    Parameters
    ----------
    n_blocks : int, default=3
        Number of mask blocks.
    structure : {"parallel", "serial"}, default="parallel"
        How the blocks are connected. With "parallel", each block masks the normalized user and
        item vectors, and a perceptron reads the outputs of all blocks. With "serial", only the
        first block masks these vectors, each further block masks the output of the previous one,
        and a linear layer reads the output of the last.
    block_size : int, default=64
        Size of the output of a block.
    reduction : float, default=2.0
        Reduction ratio of the paper: the size of the hidden layer that computes the mask, divided
        by the size of the mask.
    hidden : sequence of int, default=(64,)
        Sizes of the hidden layers of the perceptron. If empty, ``()``, a linear layer reads the
        blocks. Ignored if `structure` is "serial".
    dropout : float, default=0.0
        Dropout rate of the outputs of blocks and hidden layers.

    See Also
    --------
    FinalMLP : Two gates, only on the input.
    DCNv2 : Multiplies features in each layer, without norms.

    Notes
    -----
    .. math::

       \operatorname{block}(h) = \operatorname{relu}\left(\operatorname{norm}(W
       (\operatorname{mask}(x_0) * h))\right), \quad \operatorname{mask}(x_0) = V'
       \operatorname{relu}(V x_0 + c) + c'

    **Cost.** 235,393 weights with ``width=64``; O(D²) time per pair and block.

    As in the paper, the user and item vectors are normalized separately. The tests compare the
    block with ``MaskBlock`` of rec-pangu 0.4, which normalizes both vectors together and has no
    final relu.

    References
    ----------
    .. [1] Wang et al., "MaskNet: Introducing Feature-Wise Multiplication to CTR Ranking Models
       by Instance-Guided Mask", arXiv 2102.07619.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.MaskNet(2, structure="serial"))
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.decision_function([[0]]).shape
    (1, 3)
    """

    is_network = True

    def __init__(
        self,
        n_blocks: int = 3,
        *,
        structure: str = "parallel",
        block_size: int = 64,
        reduction: float = 2.0,
        hidden: Sequence[int] = (64,),
        dropout: float = 0.0,
    ) -> None:
        self.n_blocks = n_blocks
        self.structure = structure
        self.block_size = block_size
        self.reduction = reduction
        self.hidden = hidden
        self.dropout = dropout

    def check(self, width: int) -> None:
        check_int("n_blocks", self.n_blocks)
        check_choice("structure", self.structure, ("parallel", "serial"))
        check_int("block_size", self.block_size)
        check_real("reduction", self.reduction, 0, closed="none")
        check_hidden(self.hidden, minimum=0)
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, width: int) -> nn.Module:
        serial = self.structure == "serial"
        masked = [2 * width] * self.n_blocks
        if serial:
            masked[1:] = [self.block_size] * (self.n_blocks - 1)
        blocks = [
            MaskBlock(
                2 * width, size, self.block_size, max(1, round(self.reduction * size)), self.dropout
            )
            for size in masked
        ]
        hidden = () if serial else self.hidden
        n_read = self.block_size if serial else self.block_size * self.n_blocks
        mlp = Perceptron(n_read, hidden, 1, dropout=self.dropout)
        return MaskedFeatures(width, blocks, mlp, serial)


class MaskedFeatures(OneVectorPredictor):
    """Mask blocks, in parallel or in series, and a perceptron that computes the score."""

    def __init__(
        self, width: int, blocks: Sequence[MaskBlock], mlp: Perceptron, serial: bool
    ) -> None:
        super().__init__()
        self.user_norm = nn.LayerNorm(width)
        self.item_norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(blocks)
        self.mlp = mlp
        self.serial = serial

    def score(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Score candidates item (B, C, D) for user (B, C or 1, D); return (B, C)."""
        x0 = torch.cat([user.expand_as(item), item], dim=-1)  # (B, C, 2 D)
        normed = self.user_norm(user).expand_as(item), self.item_norm(item)
        h = torch.cat(normed, dim=-1)  # (B, C, 2 D)
        if self.serial:
            for block in self.blocks:
                h = block(x0, h)  # (B, C, block_size)
        else:
            h = torch.cat([block(x0, h) for block in self.blocks], dim=-1)
        return self.mlp(h).squeeze(-1)
