"""Long texts, which are read in overlapping windows and pooled to one vector.

::

    tokens of an item  [CLS] a b c d e [SEP]
    windows            [CLS] a b c [SEP]   [CLS] c d e [SEP]      max_length 5, stride 1
                              |                    |
                        states (L, H)        states (L, H)
                              '--------+-----------'
                          pooled vector (H) of the item

Each window is a text of its own for the language model, so its stored states depend on its token
ids only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from skrec._data.ragged import gather_ranges, offsets_of
from skrec.content._lm.network import LanguageModelNetwork, finished
from skrec.content._lm.split import Top
from skrec.nn import AdditiveAttention, masked_mean, masked_softmax, real_first, split_tokens

# name of the column with the number of tokens of each window
WINDOWS = "windows"


def special_tokens_around(tokenizer: Any) -> tuple[int, int]:
    """Return how many special tokens a tokenizer adds before and after a text.

    Parameters
    ----------
    tokenizer : transformers tokenizer
        The tokenizer.

    Returns
    -------
    before, after : int

    Raises
    ------
    ValueError
        If this cannot be seen.
    """
    n_special = tokenizer.num_special_tokens_to_add()
    if not n_special:
        return 0, 0
    mask = np.array(tokenizer("a", return_special_tokens_mask=True)["special_tokens_mask"])
    is_text = np.flatnonzero(mask == 0)
    if len(is_text):
        before, after = int(is_text[0]), len(mask) - 1 - int(is_text[-1])
        if before + after == n_special:
            return before, after
    raise ValueError(
        f"stride cuts texts into windows that begin and end with special tokens, but it is not "
        f"known which of its {n_special} special tokens this {type(tokenizer).__name__} puts "
        "before a text; take stride=None, or another tokenizer"
    )


def n_prompt_tokens(
    tokenizer: Any, prompt: str, offsets: np.ndarray, ids: np.ndarray, before: int
) -> int:
    """Return how many tokens a prompt has, with which all texts begin.

    Parameters
    ----------
    tokenizer : transformers tokenizer
        The tokenizer.
    prompt : str
        The prompt. The tokens of spaces at its end count as tokens of the texts.
    offsets : ndarray of int64, shape (n + 1,)
        Text i has the ids from ``offsets[i]`` up to ``offsets[i + 1]``.
    ids : ndarray of int64
        Token ids of all texts, with special tokens.
    before : int
        Number of special tokens before each text.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If the tokenizer joins the end of the prompt with a text.
    """
    if not prompt.strip():
        return 0
    expected = np.asarray(tokenizer(prompt.rstrip(), add_special_tokens=False)["input_ids"])
    places = offsets[:-1, None] + before + np.arange(len(expected))  # (n, p)
    found = ids[np.minimum(places, offsets[1:, None] - 1)]
    if (found != expected).any():
        raise ValueError(
            f"stride repeats the prompt in each window, but the tokenizer joins the end of "
            f"prompt={prompt!r} with the text after it; end the prompt with a colon and a space"
        )
    return len(expected)


def check_stride(stride: int, max_length: int, around: tuple[int, int]) -> None:
    """Raise a ValueError if a window would read no new tokens.

    Parameters
    ----------
    stride : int
        Number of tokens that a window shares with the next one.
    max_length : int
        Number of tokens of a window.
    around : tuple of (int, int)
        Number of tokens before and after each text: special ones, and those of a prompt.
    """
    n_around = sum(around)
    if stride + n_around >= max_length:
        raise ValueError(
            f"stride must be less than max_length - {n_around}, because each window has "
            f"{n_around} special tokens and tokens of a prompt, and must read new ones; got "
            f"stride={stride}, max_length={max_length}"
        )


def cut_into_windows(
    offsets: np.ndarray, ids: np.ndarray, room: int, stride: int, around: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut the token ids of texts into overlapping windows.

    Parameters
    ----------
    offsets : ndarray of int64, shape (n + 1,)
        Text i has the ids from ``offsets[i]`` up to ``offsets[i + 1]``.
    ids : ndarray of int64
        Token ids of all texts, with special tokens.
    room : int
        Number of tokens of a window without special tokens.
    stride : int
        Number of tokens that a window shares with the next one, less than `room`.
    around : tuple of (int, int)
        Number of tokens before and after each text, which each window gets: special ones, and
        those of a prompt.

    Returns
    -------
    of_text : ndarray of int64, shape (n + 1,)
        Text i has the windows from ``of_text[i]`` up to ``of_text[i + 1]``, at least one.
    offsets : ndarray of int64, shape (n_windows + 1,)
        Offsets of the windows in `ids`.
    ids : ndarray of int64
        Token ids of all windows.
    """
    before, after = around
    first, last = offsets[:-1] + before, offsets[1:] - after  # of the text without special tokens
    step = room - stride
    n_windows = 1 + np.maximum(0, -((room - (last - first)) // step))
    of_text = offsets_of(n_windows)
    text = np.repeat(np.arange(len(n_windows)), n_windows)
    start = first[text] + step * (np.arange(of_text[-1]) - of_text[text])
    stop = np.minimum(start + room, last[text])
    starts = np.stack([offsets[:-1][text], start, last[text]], axis=1)
    stops = np.stack([first[text], stop, offsets[1:][text]], axis=1)
    places, ends = gather_ranges(starts.ravel(), stops.ravel())
    return of_text, ends[::3], ids[places]


class WindowsNetwork(LanguageModelNetwork):
    """Module that maps the windows of items to item vectors.

    The vectors of the windows of an item are averaged, weighted by their numbers of tokens. With
    ``pooling="mean"``, this is the mean over the tokens of all windows. With additive attention,
    the softmax runs over the tokens of all windows. The parameters are those of
    `LanguageModelNetwork`.
    """

    def __init__(self, top: Top | None, pooling: str, output_size: int, *others: Any) -> None:
        super().__init__(top, pooling, output_size, *others)
        self.output_size = output_size

    def forward(self, columns: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        """Return item vectors (U, D)."""
        return self.project(self._of_items(columns))

    def tokens(
        self, columns: dict[str, tuple[torch.Tensor, torch.Tensor]]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return item vectors (U, D), tokens (U, T, D) of all windows and their mask (U, T)."""
        (n_tokens, real), texts = _split(columns)
        rows = self._in_parts(self._rows_of_windows, texts)  # (n, H + 1 + L * (D + 1))
        width = self.project.out_features
        vectors, tokens = rows.tensor_split([self.output_size + 1], dim=1)
        x, mask = split_tokens(tokens, width)  # (n, L, D), (n, L)
        x = _by_item(x, real).flatten(1, 2)  # (U, W * L, D)
        mask = _by_item(mask, real).flatten(1)
        return self.project(self._joined(vectors, n_tokens, real)), *real_first(x, mask)

    def _of_items(self, columns: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        (n_tokens, real), texts = _split(columns)
        return self._joined(self._in_parts(self._weighted, texts), n_tokens, real)

    def _weighted(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the pooled states of windows, and the log weight of each (n, H + 1)."""
        return self._pooled_and_weight(self._hidden(values, mask), mask)

    def _pooled_and_weight(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        pooled = self.pool(hidden, mask)
        if isinstance(self.pool, AdditiveAttention):
            scores = self.pool.scores(hidden).to(hidden.dtype)
            lowest = torch.finfo(scores.dtype).min
            weight = scores.masked_fill(~mask, lowest).logsumexp(dim=1, keepdim=True)
        else:  # the number of tokens, which a pooled window that was stored does not show
            weight = hidden.new_zeros(len(hidden), 1)
        return torch.cat([pooled.to(hidden.dtype), weight], dim=1)

    def _rows_of_windows(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return pooled states, log weight and tokens as one row per window."""
        hidden = self._hidden(values, mask)
        x = self._projected_tokens(hidden)  # (n, L, D)
        real = mask.unsqueeze(2).to(x.dtype)
        tokens = torch.cat([x * real, real], dim=2).flatten(1)
        return torch.cat([self._pooled_and_weight(hidden, mask), tokens], dim=1)

    def _joined(
        self, windows: torch.Tensor, n_tokens: torch.Tensor, real: torch.Tensor
    ) -> torch.Tensor:
        """Return one vector per item of pooled states and log weights (n, H + 1) of its windows."""
        by_item = _by_item(windows, real)  # (U, W, H + 1)
        pooled, weight = by_item[..., :-1], by_item[..., -1]
        if not isinstance(self.pool, AdditiveAttention):
            weight = weight + n_tokens.clamp_min(1).to(weight.dtype).log()
        weight = masked_softmax(weight, real)  # (U, W)
        joined = torch.bmm(weight.unsqueeze(1), pooled).squeeze(1)  # (U, H)
        return self._normalized(finished(joined, self.normalize, self.truncate_dim))


def mean_of_windows(columns: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """Return the mean (U, H) of the states of windows, weighted by their numbers of tokens.

    Parameters
    ----------
    columns : dict of str to (tensor, tensor)
        Stored states of items, as returned by `Packed.take`. Without windows, the mean of the
        states of each item is returned.

    Returns
    -------
    tensor of shape (U, H)
    """
    if WINDOWS not in columns:
        [(values, mask)] = columns.values()
        return masked_mean(values.to(torch.promote_types(values.dtype, torch.float32)), mask)
    (n_tokens, real), texts = _split(columns)
    windows = mean_of_windows(texts)  # (n, H)
    weight = n_tokens.to(windows.dtype) * real
    weight = weight / weight.sum(dim=1, keepdim=True)
    return torch.bmm(weight.unsqueeze(1), _by_item(windows, real)).squeeze(1)


def _split(columns: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the column of the windows' numbers of tokens, and the column of their values."""
    return columns[WINDOWS], {name: each for name, each in columns.items() if name != WINDOWS}


def _by_item(rows: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Return rows (n, ...) of windows as (U, W, ...), where the mask (U, W) is true."""
    place = (real.flatten().cumsum(0) - 1).clamp_min(0).view_as(real)  # (U, W)
    return rows[place] * real.view(*real.shape, *[1] * (rows.ndim - 1)).to(rows.dtype)
