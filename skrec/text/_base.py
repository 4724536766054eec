"""Base class of transformers that add columns written by a language model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from skrec._common.checks import check_choice, check_int
from skrec._common.status import StatusLine
from skrec._data.items import Items
from skrec._data.table import Table
from skrec._inference.frames import LIBRARIES, OUTPUT_CONFIG, output_library, to_library
from skrec._training.processes import resolve_device
from skrec.content._lm import DTYPES
from skrec.text._call import CallableWriter
from skrec.text._causal import CausalWriter, check_causal
from skrec.text._memory import WrittenTexts
from skrec.text._write import write_texts


class TextWriter(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Base class of transformers that add columns written by a language model.

    A subclass has the parameters below and `_new_columns`. It sets `feature_names_in_` and calls
    `_prepare` in `fit`, and calls `_write` in `transform`.
    """

    model: Any
    tokenizer: Any
    max_new_tokens: int
    max_length: int
    batch_size: int
    chat: Any
    generation: dict[str, Any] | None
    memory: Any
    model_name: str | None
    on_error: str
    dtype: str
    device: Any
    revision: str | None
    subfolder: str | None
    trust_remote_code: bool
    verbose: int
    feature_names_in_: np.ndarray

    def __sklearn_clone__(self) -> Any:
        """Clone the transformer. The model and the tokenizer are shared, as they never change."""
        shared = {"model", "tokenizer"}
        return type(self)(
            **{
                name: value if name in shared else clone(value, safe=False)
                for name, value in self.get_params(deep=False).items()
            }
        )

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose the library of tables that `transform` returns.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            With "default", a table is of the type of the input. An ``Items`` stays an ``Items`` in
            any case. None changes nothing.

        Returns
        -------
        self
        """
        if transform is not None:
            check_choice("transform", transform, ("default", *LIBRARIES))
            setattr(self, OUTPUT_CONFIG, {"transform": transform})
        return self

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns of the result.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self, "writer_")
        names = dict.fromkeys([*self.feature_names_in_, *self._new_columns()])
        return np.array([*names], dtype=object)

    def _new_columns(self) -> list[str]:
        """Return the names of the columns that a fitted transformer adds."""
        raise NotImplementedError

    def _prepare(self) -> None:
        """Check the parameters and make what writes."""
        for name in ("max_new_tokens", "max_length", "batch_size"):
            check_int(name, getattr(self, name))
        check_choice("chat", self.chat, ("auto", True, False))
        check_choice("on_error", self.on_error, ("raise", "warn"))
        check_choice("dtype", self.dtype, tuple(DTYPES))
        check_choice("trust_remote_code", self.trust_remote_code, (True, False))
        if self.generation is not None and not isinstance(self.generation, dict):
            raise TypeError(
                f"generation must be a dict of options of generate() or None, got "
                f"{self.generation!r}"
            )
        for name in ("model_name", "revision", "subfolder"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise TypeError(f"{name} must be a str or None, got {value!r}")
        self.writer_ = self._make_writer()
        self.texts_ = WrittenTexts(self.memory, {"writer": self.writer_.fingerprint})

    def _make_writer(self) -> Any:
        """Return what writes: a language model or a function."""
        model = self.model
        if isinstance(model, str | Path | torch.nn.Module):
            if isinstance(model, torch.nn.Module):
                check_causal(model)
            return CausalWriter(
                model,
                tokenizer=self.tokenizer,
                max_new_tokens=self.max_new_tokens,
                max_length=self.max_length,
                batch_size=self.batch_size,
                chat=self.chat,
                options=self.generation or {},
                dtype=self.dtype,
                revision=self.revision,
                subfolder=self.subfolder,
                trust_remote_code=self.trust_remote_code,
                device=resolve_device(self.device),
            )
        if not callable(model):
            raise TypeError(
                "model must be a name on the hub, a folder, a GGUF file, a causal language model "
                f"of transformers, or a function of texts, got {model!r}"
            )
        writer = CallableWriter(model, self.model_name, self.batch_size)
        if writer.fingerprint is None and self.memory is not None:
            raise ValueError(
                "memory needs a name for the function, as the texts of another one are others: "
                "model_name='...', which you change with the function; or memory=None"
            )
        return writer

    def _write(
        self, prompts: list[str], name_of: Callable[[int], str], column: str
    ) -> list[str | None]:
        """Return the text of each prompt; see `write_texts`."""
        with StatusLine(self.verbose) as status:
            status.begin(f"writing {column}")

            def progress(n_done: int, n_missing: int) -> None:
                status.advance(n_done, n_missing, "texts")
                if n_done == n_missing:
                    status.print(f"{column}: {n_missing} texts written")

            return write_texts(self.writer_, self.texts_, prompts, name_of, self.on_error, progress)

    def _with_columns(self, X: Any, columns: dict[str, list[str | None]]) -> Any:
        """Return X with new columns, as a table of its type or of the library of `set_output`."""
        new = {name: pa.array(texts, pa.large_string()) for name, texts in columns.items()}
        if isinstance(X, Items):
            known = {name: X.column(name) for name in X.roles}
            roles = {**X.roles, **dict.fromkeys(new, "text")}
            return Items._make(X.id, X._ids, {**known, **new}, roles)
        library = output_library(self)
        if library is None and isinstance(X, pd.DataFrame):
            found: dict[str, Any] = dict(columns)
            return X.assign(**found)
        if library is None and type(X) is dict:
            return {**X, **columns}
        source = Table(X)
        table = pa.table({**{name: source.column(name) for name in source.names}, **new})
        if library is None and type(X).__module__.split(".")[0] == "polars":
            library = "polars"
        return table if library is None else to_library(table, library)
