"""A transformer that adds columns to items, written by a language model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.utils.validation import check_is_fitted

from skrec._common.messages import did_you_mean, preview
from skrec._data.items import Items
from skrec._data.table import Table, is_table
from skrec.content._lm.text import check_template, placeholders, render
from skrec.text._base import TextWriter


class LLMRewriter(TextWriter):
    """Add columns to items that a language model writes from their other columns.

    The text of an item often says little about it: a title of three words, or a headline that hides
    its subject. A language model knows more, and can write a summary, a clearer title or a list of
    topics, which content operators then read. This is the first part of GENRE [1]_.

    Each distinct prompt is written once. With `memory`, texts are kept on disk by the content of
    the prompt and the model: an unchanged item is never written again, and an interrupted run goes
    on.

    Parameters
    ----------
    model : str, Path, transformers.PreTrainedModel or callable
        Name on the Hugging Face Hub, path of a folder or of a GGUF file, a causal language model,
        or a function that takes a list of texts and returns as many, such as a
        :class:`ChatClient`. A model object is used as it is and not modified.
    prompt : str, default=None
        Prompt of an item, with names of columns in braces: ``"Summarize: {title}. {abstract}"``.
        :data:`PROMPTS` contains examples.
    columns : str or dict of str to str, default="summary"
        Name of the new column. If there are several, their names and prompts, without `prompt`. A
        column that exists is replaced.
    tokenizer : str or transformers tokenizer, default=None
        Name or path of a tokenizer, or a tokenizer. None uses the tokenizer of the model.
    max_new_tokens : int, default=64
        Maximum number of tokens of a text. Ignored if `model` is a function.
    max_length : int, default=256
        Maximum number of tokens that are read from the value of a column. Ignored if `model` is a
        function.
    batch_size : int, default=8
        Number of prompts that are written at a time.
    chat : {"auto"} or bool, default="auto"
        Whether prompts are messages of a user, in the form of the tokenizer's chat template. "auto"
        looks whether there is one. Ignored if `model` is a function.
    generation : dict, default=None
        Further options of ``generate``, such as ``{"repetition_penalty": 1.1}``. By default, the
        most probable token is taken, so that texts are the same in each run.
    memory : str or Path, default=None
        Folder in which texts are kept. None keeps them in this object.
    model_name : str, default=None
        What identifies a function in `memory`. None takes its attribute ``fingerprint``. Ignored
        for language models, which are identified by their files or weights.
    on_error : {"raise", "warn"}, default="raise"
        What happens if the model fails on some items, after all others were written and kept. With
        "warn", the texts of these items are null.
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
    prompts_ : dict of str to str
        Prompt of each new column.
    feature_names_in_ : ndarray of str
        Columns of X in `fit`.
    writer_ : object
        What writes. ``writer_.n_calls`` and ``writer_.n_tokens`` count the batches and the tokens
        that were generated since `fit`.
    texts_ : object
        The texts that were written.

    See Also
    --------
    UserProfiler : Adds a text about the history of each row.
    skrec.content.LanguageModel : Reads texts with a language model.

    References
    ----------
    .. [1] Liu et al., "ONCE: Boosting Content-based Recommendation with Both Open- and
       Closed-source Large Language Models", arXiv 2305.06566.

    Examples
    --------
    >>> import pandas as pd
    >>> from skrec.text import LLMRewriter
    >>> items = pd.DataFrame({"item_id": [1, 2], "title": ["Heat", "Up"]})
    >>> rewriter = LLMRewriter(lambda texts: [text.upper() for text in texts], "A film: {title}")
    >>> rewriter.fit_transform(items)
       item_id title       summary
    0        1  Heat  A FILM: HEAT
    1        2    Up    A FILM: UP
    """

    def __init__(
        self,
        model: Any,
        prompt: str | None = None,
        *,
        columns: str | Mapping[str, str] = "summary",
        tokenizer: Any = None,
        max_new_tokens: int = 64,
        max_length: int = 256,
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
        self.columns = columns
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

    def fit(self, X: Any, y: Any = None) -> LLMRewriter:
        """Check the parameters, and that X has the columns of the prompts. Nothing is written.

        Parameters
        ----------
        X : Items or table
            The items: an ``Items``, a data frame of pandas or polars, an Arrow table, a mapping of
            columns, or anything else that ``Items`` reads.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError, OSError
            If a parameter is invalid, if a prompt names a column that X lacks, or if the model
            cannot be found.
        """
        self.prompts_ = self._read_prompts()
        names = _column_names(X)
        for prompt in self.prompts_.values():
            _as_items(X, prompt, names)
        self.feature_names_in_ = np.array(names, dtype=object)
        self._prepare()
        return self

    def _read_prompts(self) -> dict[str, str]:
        """Return the prompt of each new column."""
        if isinstance(self.columns, str):
            if not isinstance(self.prompt, str):
                raise ValueError(
                    "prompt must be a str with names of columns in braces, such as "
                    f"'Summarize: {{title}}', got {self.prompt!r}"
                )
            return {self.columns: self.prompt}
        if not isinstance(self.columns, Mapping) or not self.columns:
            raise TypeError(
                f"columns must be the name of the new column, or map names to prompts, got "
                f"{self.columns!r}"
            )
        if self.prompt is not None:
            raise ValueError("columns maps names to prompts, so prompt must be None; give one")
        for name, prompt in self.columns.items():
            if not isinstance(name, str) or not isinstance(prompt, str):
                raise TypeError(f"columns must map names to prompts, got {name!r}: {prompt!r}")
        return dict(self.columns)

    def transform(self, X: Any) -> Any:
        """Return X with the new columns.

        Parameters
        ----------
        X : Items or table
            The items, with the columns of the prompts.

        Returns
        -------
        Items or table
            An ``Items`` for an ``Items``, and otherwise a table of the type of X. `set_output`
            chooses another.

        Raises
        ------
        RuntimeError
            If the model failed on some items and `on_error` is "raise". The message names them, and
            the texts of all others are kept.
        ValueError
            If X lacks a column.
        """
        check_is_fitted(self, "writer_")
        names = _column_names(X)
        columns = {}
        for column, prompt in self.prompts_.items():
            items = _as_items(X, prompt, names)
            prompts = render(items, prompt, self.writer_.cut)
            named = _names_of(X, items)
            columns[column] = self._write(prompts, named, column)
        return self._with_columns(X, columns)

    def _new_columns(self) -> list[str]:
        return list(self.prompts_)


def _column_names(X: Any) -> list[str]:
    """Return the names of the columns of items."""
    if isinstance(X, Items):
        return [X.id, *X.roles]
    if not is_table(X):
        raise TypeError(
            f"X must be an Items or a table with named columns, got {type(X).__name__}; a list of "
            "texts goes into skrec.Items(texts)"
        )
    return Table(X).names


def _as_items(X: Any, prompt: str, names: list[str]) -> Items:
    """Return the columns of a prompt as items, after a check of the prompt."""
    if isinstance(X, Items):
        check_template(prompt, X.roles)
        return X
    wanted = placeholders(prompt, names)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ValueError(
            f"the prompt names a column {missing[0]!r} that X lacks"
            f"{did_you_mean(missing[0], names)}; it has {preview(names, 20)}"
        )
    table = Table(X)
    columns = {name: table.column(name) for name in wanted}
    n_rows = len(next(iter(columns.values()))) if columns else 0
    if not n_rows:
        check_template(prompt, dict.fromkeys(names, "text"))
        raise ValueError("X has no rows")
    return Items({"": pa.array(range(n_rows)), **columns}, id="")


def _names_of(X: Any, items: Items) -> Any:
    """Return a function that names an item by its position."""
    if isinstance(X, Items):
        return lambda at: f"item {X.ids[at]!r}"
    table = Table(X)
    if "item_id" in table:
        ids = table.column("item_id")
        return lambda at: f"item {ids[at].as_py()!r}"
    return lambda at: f"row {at}"
