"""Where a pretrained model lies, and what to tell users where it can't be read."""

from __future__ import annotations

import io
import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skrec._common.random import borrowed_generator

CONFIG = "config.json"
# files of the hub, one of which tells that there is a model or a tokenizer
MARKS = {"model": (CONFIG,), "tokenizer": (CONFIG, "tokenizer_config.json")}


@dataclass(frozen=True)
class Source:
    """A pretrained model that was found: a folder, a GGUF file, or a name on the hub."""

    name: str  # as messages call it
    where: str  # what from_pretrained takes
    gguf: str | None = None
    commit: str | None = None  # of the hub
    config: dict[str, Any] = field(default_factory=dict)  # what config.json says

    @property
    def options(self) -> dict[str, Any]:
        """Further arguments of from_pretrained."""
        return {"gguf_file": self.gguf} if self.gguf else {"revision": self.commit or "main"}


def find(name: str | os.PathLike, what: str, revision: str | None = None) -> Source:
    """Find a model or tokenizer, on disk first.

    Parameters
    ----------
    name : str or path
        A folder, a GGUF file, or a name on the hub.
    what : {"model", "tokenizer"}
        The parameter, for messages.
    revision : str, default=None
        Branch, tag or commit of the hub. Ignored for what lies on disk.

    Returns
    -------
    Source

    Raises
    ------
    ValueError, OSError
        Where there is no such folder or name, or no way to the hub.
    """
    given = os.fspath(name)
    if not given:
        raise ValueError(f"{what} must be a folder, a GGUF file or a name on the hub, got ''")
    path = Path(given).expanduser()
    if path.is_dir():
        return Source(given, str(path), config=_read_config(path / CONFIG))
    if path.is_file():
        with open(path, "rb") as opened:
            if opened.read(4) != b"GGUF":
                raise ValueError(
                    f"{what} must be a folder, a GGUF file or a name on the hub; {given!r} is a "
                    "file of another kind. For weights in a folder, give the folder"
                )
        _need_gguf(given, what)
        # in full: transformers looks for a bare file name in the working directory first
        return Source(given, str(path.parent.resolve()), gguf=str(path.resolve()))
    if not isinstance(name, str) or _looks_like_path(given):
        raise FileNotFoundError(f"{what}={given!r} is neither a folder nor a file")
    folder = _from_hub(given, what, revision)
    return Source(given, given, commit=folder.name, config=_read_config(folder / CONFIG))


def _need_gguf(name: str, what: str) -> None:
    try:
        import gguf  # noqa: F401
    except ImportError:
        raise ImportError(
            f"{what}={name!r} is a GGUF file, which needs the package gguf: pip install gguf"
        ) from None


def _looks_like_path(given: str) -> bool:
    first = given.startswith((".", "~", os.sep)) or Path(given).is_absolute()
    return first or given.count("/") > 1 or "\\" in given or given.lower().endswith(".gguf")


def _read_config(path: Path) -> dict[str, Any]:
    """Read a config.json; nothing where there is none."""
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(config, dict):
        raise ValueError(f"{path} must hold a JSON object, got a {type(config).__name__}")
    return config


def _from_hub(name: str, what: str, revision: str | None) -> Path:
    """Return the folder of the hub's cache that is named for the commit."""
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    called = f"{what}={name!r}"
    try:
        *others, last = MARKS[what]
        for file in others:
            with suppress(EntryNotFoundError):
                return Path(hf_hub_download(name, file, revision=revision)).parent
        return Path(hf_hub_download(name, last, revision=revision)).parent
    except HFValidationError:
        raise ValueError(
            f"{called} is neither a folder, a file, nor a valid name on the hub, such as "
            "'sentence-transformers/all-MiniLM-L6-v2'"
        ) from None
    except GatedRepoError as error:
        raise OSError(
            f"{called} may only be read by those whom its authors admit: ask at "
            f"{constants.ENDPOINT}/{name}, then log in with `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise OSError(
            f"{called} is neither a folder nor a name on the hub ({constants.ENDPOINT}); check "
            "its spelling, and log in with `hf auth login` if it is private"
        ) from error
    except RevisionNotFoundError as error:
        raise OSError(f"{called} has no revision {revision!r} on the hub") from error
    except LocalEntryNotFoundError as error:
        offline = constants.is_offline_mode()
        reason = "HF_HUB_OFFLINE is set" if offline else f"{constants.ENDPOINT} can't be reached"
        at = f" at revision {revision}" if revision else ""
        raise OSError(
            f"{called} is not a folder, and the hub's cache ({constants.HF_HUB_CACHE}) lacks it"
            f"{at}, while {reason}. Give the folder of a model, or run once with a connection"
        ) from error
    except EntryNotFoundError as error:
        raise OSError(f"{called} has no {last} on the hub, so it holds no {what}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep progress bars and warnings of the loading libraries from users.

    What they say is either raised here as an error, or about their own calls.
    """
    from huggingface_hub import utils as hub
    from transformers.utils import logging as transformers_logging

    # streams, filters and levels are the process's, and reading a model moves torch's generator
    with borrowed_generator():
        loggers = [logging.getLogger(name) for name in ("transformers", "huggingface_hub", "gguf")]
        levels = [logger.level for logger in loggers]
        bars = transformers_logging.is_progress_bar_enabled()
        hub_bars = not hub.are_progress_bars_disabled()
        # some of their bars know no switch
        with redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for logger in loggers:
                logger.setLevel(logging.CRITICAL)
            transformers_logging.disable_progress_bar()
            try:
                yield
            finally:
                if bars:
                    transformers_logging.enable_progress_bar()
                if hub_bars != (not hub.are_progress_bars_disabled()):
                    (hub.enable_progress_bars if hub_bars else hub.disable_progress_bars)()
                for logger, level in zip(loggers, levels, strict=True):
                    logger.setLevel(level)
