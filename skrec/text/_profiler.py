"""A transformer that adds a text about the history of each row, written by a language model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.utils.validation import check_is_fitted

from skrec._common.checks import check_choice, check_int
from skrec._data.encode import encode
from skrec._data.items import Items
from skrec._data.rows import as_table
from skrec._data.table import Table, is_table
from skrec.content._lm.text import check_template, render
from skrec.text._base import TextWriter

HISTORY = "{history}"


class UserProfiler(TextWriter):
    r"""Add a text about the interests of the user of each row, from the history of the row alone.

    A language model reads the texts of the items in a history, and names for example the topics and
    regions that interest the user, as the user profiles of GENRE [1]_ do. Recommenders read the new
    column as context.

    The text of a row depends on its column `history` and on the catalogue, and on nothing else: not
    on candidates, clicks, times or other rows. Therefore, it can't contain what is to be predicted.
    Equal histories have the same text, which is written once. An empty history has an empty text.

    Parameters
    ----------
    model : str, Path, transformers.PreTrainedModel or callable
        Name on the Hugging Face Hub, path of a folder or of a GGUF file, a causal language model,
        or a function that takes a list of texts and returns as many, such as a
        :class:`ChatClient`.
    prompt : str
        Prompt of a user, with ``{history}`` where the items are listed, one per line, oldest first.
        :data:`PROMPTS` contains examples.
    item_text : str, default="{title}"
        Text of an item in the list, with names of columns of the catalogue in braces.
    column : str, default="profile"
        Name of the new column. A column that exists is replaced.
    max_history : int, default=20
        Maximum number of items in the list, the latest ones.
    unknown_items : {"raise", "ignore"}, default="raise"
        Whether items that the catalogue lacks raise an error or are left out.
    tokenizer : str or transformers tokenizer, default=None
        Name or path of a tokenizer, or a tokenizer. None uses the tokenizer of the model.
    max_new_tokens : int, default=64
        Maximum number of tokens of a text. Ignored if `model` is a function.
    max_length : int, default=32
        Maximum number of tokens that are read from the value of a column of an item. Ignored if
        `model` is a function.
    batch_size : int, default=8
        Number of prompts that are written at a time.
    chat : {"auto"} or bool, default="auto"
        Whether prompts are messages of a user, in the form of the tokenizer's chat template. "auto"
        looks whether there is one. Ignored if `model` is a function.
    generation : dict, default=None
        Further options of ``generate``. By default, the most probable token is taken.
    memory : str or Path, default=None
        Folder in which texts are kept. None keeps them in this object.
    model_name : str, default=None
        What identifies a function in `memory`. None takes its attribute ``fingerprint``.
    on_error : {"raise", "warn"}, default="raise"
        What happens if the model fails on some histories, after all others were written and kept.
        With "warn", their texts are null.
    dtype : {"float32", "bfloat16", "float16", "float64"}, default="float32"
        Number type of the weights of a model that is loaded.
    device : str or torch.device, default=None
        Device of a model that is loaded. None takes a GPU if there is one.
    revision : str, default=None
        Branch, tag or commit of a model on the hub.
    subfolder : str, default=None
        Folder that contains the model, inside the folder or the name on the hub.
    trust_remote_code : bool, default=False
        Whether code that comes with the model may be executed.
    verbose : int, default=0
        Whether progress is shown.

    Attributes
    ----------
    items_ : Items
        The catalogue.
    feature_names_in_ : ndarray of str
        Columns of X in `fit`.
    writer_ : object
        What writes. ``writer_.n_calls`` and ``writer_.n_tokens`` count the batches and the tokens
        that were generated since `fit`.
    texts_ : object
        The texts that were written.

    See Also
    --------
    LLMRewriter : Adds columns to items, written by a language model.

    References
    ----------
    .. [1] Liu et al., "ONCE: Boosting Content-based Recommendation with Both Open- and
       Closed-source Large Language Models", arXiv 2305.06566.

    Examples
    --------
    >>> import pandas as pd
    >>> from skrec.text import UserProfiler
    >>> items = pd.DataFrame({"item_id": [1, 2], "title": ["Heat", "Up"]})
    >>> profiler = UserProfiler(lambda texts: [text.upper() for text in texts], "{history}")
    >>> X = pd.DataFrame({"history": [[1, 2], []]})
    >>> list(profiler.fit_transform(X, items=items)["profile"])
    ['1. HEAT\n2. UP', '']
    """

    def __init__(
        self,
        model: Any,
        prompt: str,
        *,
        item_text: str = "{title}",
        column: str = "profile",
        max_history: int = 20,
        unknown_items: str = "raise",
        tokenizer: Any = None,
        max_new_tokens: int = 64,
        max_length: int = 32,
        batch_size: int = 8,
        chat: Any = "auto",
        generation: dict[str, Any] | None = None,
        memory: str | Path | None = None,
        model_name: str | None = None,
        on_error: str = "raise",
        dtype: str = "float32",
        device: Any = None,
        revision: str | None = None,
        subfolder: str | None = None,
        trust_remote_code: bool = False,
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.prompt = prompt
        self.item_text = item_text
        self.column = column
        self.max_history = max_history
        self.unknown_items = unknown_items
        self.tokenizer = tokenizer
        self.max_new_tokens = max_new_tokens
        self.max_length = max_length
        self.batch_size = batch_size
        self.chat = chat
        self.generation = generation
        self.memory = memory
        self.model_name = model_name
        self.on_error = on_error
        self.dtype = dtype
        self.device = device
        self.revision = revision
        self.subfolder = subfolder
        self.trust_remote_code = trust_remote_code
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, *, items: Any = None) -> UserProfiler:
        """Check the parameters and keep the catalogue. Nothing is written.

        Parameters
        ----------
        X : table with a column `history`, or list of id lists
            The rows.
        y : None
            Ignored.
        items : Items or table
            The catalogue, with the columns of `item_text`.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError, OSError
            If there is no catalogue, a parameter is invalid, or the model cannot be found.
        """
        if items is None:
            raise ValueError("fit needs the catalogue: profiler.fit(X, items=items)")
        if not isinstance(self.prompt, str) or HISTORY not in self.prompt:
            raise ValueError(f"prompt must be a str that contains {HISTORY}, got {self.prompt!r}")
        if not isinstance(self.column, str):
            raise TypeError(f"column must be a str, got {self.column!r}")
        check_int("max_history", self.max_history)
        check_choice("unknown_items", self.unknown_items, ("raise", "ignore"))
        self.items_ = items if isinstance(items, Items) else Items(items)
        if not isinstance(self.item_text, str):
            raise ValueError(f"item_text must be a str, got {self.item_text!r}")
        check_template(self.item_text, self.items_.roles)
        self.feature_names_in_ = np.array(as_table(X).names, dtype=object)
        self._prepare()
        return self

    def transform(self, X: Any) -> Any:
        """Return X with the new column.

        Parameters
        ----------
        X : table with a column `history`, or list of id lists
            The rows. A list becomes a table with the column `history`.

        Returns
        -------
        table
            A table of the type of X. `set_output` chooses another.

        Raises
        ------
        RuntimeError
            If the model failed on some histories and `on_error` is "raise". The texts of all others
            are kept.
        ValueError
            If X has no column `history`, or the catalogue lacks items of it.
        """
        check_is_fitted(self, "writer_")
        table = as_table(X)
        if "history" not in table:
            raise ValueError(f"X has no column 'history'; its columns are {table.names}")
        # nothing else of X is read, so that a text can't contain what is to be predicted
        histories = Table({"history": table.column("history")})
        drop = "histories" if self.unknown_items == "ignore" else "nothing"
        data = encode(histories, items=self.items_, labels="ignored", drop_unknown=drop)
        prompts = self._prompts(data.history_offsets, data.history_codes)
        _, first = np.unique(data.history_of_row, return_index=True)
        asked = [at for at, prompt in enumerate(prompts) if prompt is not None]
        written = self._write(
            [prompts[at] or "" for at in asked],
            lambda place: f"the history of row {first[asked[place]]}",
            self.column,
        )
        texts: list[str | None] = [""] * len(prompts)
        for at, text in zip(asked, written, strict=True):
            texts[at] = text
        column = [texts[at] for at in data.history_of_row]
        return self._with_columns(X if is_table(X) else _as_arrow(table), {self.column: column})

    def _prompts(self, offsets: np.ndarray, codes: np.ndarray) -> list[str | None]:
        """Return the prompt of each distinct history; None for an empty one."""
        starts = np.maximum(offsets[:-1], offsets[1:] - self.max_history)
        read = [codes[start:stop] for start, stop in zip(starts, offsets[1:], strict=True)]
        distinct = np.unique(np.concatenate([codes[:0], *read]))
        items = self.items_.take(distinct)
        lines = render(items, self.item_text, self.writer_.cut) if len(distinct) else []
        lines = [" ".join(line.split()) for line in lines]  # an item is one line
        prompts: list[str | None] = []
        for row in read:
            places = np.searchsorted(distinct, row)
            listed = "\n".join(f"{n}. {lines[at]}" for n, at in enumerate(places, start=1))
            prompts.append(self.prompt.replace(HISTORY, listed) if len(row) else None)
        return prompts

    def _new_columns(self) -> list[str]:
        return [self.column]


def _as_arrow(table: Table) -> pa.Table:
    """Return a list of histories as a table."""
    return pa.table({"history": table.column("history")})
