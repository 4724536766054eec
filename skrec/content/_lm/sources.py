"""Search for pretrained models in folders, in GGUF files and on the hub."""

from __future__ import annotations

import io
import json
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from skrec._common.random import TorchGenerator

CONFIG = "config.json"
# files on the hub that show that there is a model or a tokenizer; one of them is enough
MARKER_FILES = {"model": (CONFIG,), "tokenizer": (CONFIG, "tokenizer_config.json")}
WEIGHTS = "model.safetensors"
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
HELD = {"lora": "adapters"}  # what is at a name on the hub, if not the parameter's own name
GGUF = ".gguf"  # how the names of such files end


@dataclass(frozen=True)
class Source:
    """A pretrained model that was found: a folder, a GGUF file, or a name on the hub."""

    name: str  # name or path given by the user, for messages
    location: str  # first argument of from_pretrained
    gguf: str | None = None  # path of the GGUF file
    commit: str | None = None  # commit on the hub
    subfolder: str = ""  # folder inside the name on the hub
    config: dict[str, Any] = field(default_factory=dict)  # content of config.json

    @property
    def load_options(self) -> dict[str, Any]:
        """Further arguments of from_pretrained."""
        if self.gguf:
            return {"gguf_file": self.gguf}
        return {"revision": self.commit or "main", "subfolder": self.subfolder}


def find_source(
    name: str | os.PathLike[str],
    what: str,
    revision: str | None = None,
    subfolder: str | None = None,
) -> Source:
    """Find a model or tokenizer on disk or, if there is none, on the hub.

    Parameters
    ----------
    name : str or path
        Path of a folder or GGUF file, or name on the hub.
    what : {"model", "tokenizer"}
        Name of the parameter, for messages.
    revision : str, default=None
        Branch, tag or commit on the hub. Ignored for files on disk.
    subfolder : str, default=None
        Folder inside the folder or the name on the hub. Ignored for GGUF files.

    Returns
    -------
    Source

    Raises
    ------
    ValueError, OSError
        If the folder or name does not exist, or if the hub cannot be reached.
    """
    given = os.fspath(name)
    if not given:
        raise ValueError(f"{what} must be a folder, a GGUF file or a name on the hub, got ''")
    path = Path(given).expanduser()
    if subfolder and path.is_dir():
        path = path / subfolder
        if not path.is_dir():
            raise FileNotFoundError(f"{what}={given!r} has no subfolder {subfolder!r}")
    if path.is_dir():
        return Source(given, str(path), config=_read_config(path / CONFIG))
    if path.is_file():
        with open(path, "rb") as opened:
            if opened.read(4) != b"GGUF":
                raise ValueError(
                    f"{what} must be a folder, a GGUF file or a name on the hub; {given!r} is a "
                    "file of another kind. For weights in a folder, give the folder"
                )
        _check_gguf(given, what)
        # an absolute path, because transformers first looks in the working directory
        return Source(given, str(path.parent.resolve()), gguf=str(path.resolve()))
    if not isinstance(name, str) or _looks_like_path(given):
        raise FileNotFoundError(f"{what}={given!r} is neither a folder nor a file")
    below = subfolder or ""
    folder = _from_hub(given, what, MARKER_FILES[what], revision, below)
    commit = folder.parents[len(Path(below).parts) - 1].name if below else folder.name
    config = _read_config(folder / CONFIG)
    return Source(given, given, commit=commit, subfolder=below, config=config)


def _check_gguf(name: str, what: str) -> None:
    """Raise an ImportError if the package gguf is not installed."""
    try:
        import gguf  # noqa: F401
    except ImportError:
        raise ImportError(
            f"{what}={name!r} is a GGUF file, which needs the package gguf: pip install gguf"
        ) from None


def _looks_like_path(given: str) -> bool:
    """Return whether a text looks like a path rather than a name on the hub."""
    first = given.startswith((".", "~", os.sep)) or Path(given).is_absolute()
    return first or given.count("/") > 1 or "\\" in given or given.lower().endswith(GGUF)


def _read_config(path: Path) -> dict[str, Any]:
    """Return the content of a config.json, or an empty dict if there is no file."""
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(config, dict):
        raise ValueError(f"{path} must hold a JSON object, got a {type(config).__name__}")
    return config


def find_adapters(name: str | os.PathLike[str]) -> Path:
    """Find the folder of adapters on disk or, if there is none, on the hub.

    Parameters
    ----------
    name : str or path
        Path of a folder, or name on the hub, whose main branch is read.

    Returns
    -------
    Path

    Raises
    ------
    ValueError, OSError
        If the folder or name does not exist, or if the hub cannot be reached.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if not isinstance(name, str) or not name or _looks_like_path(name):
        raise FileNotFoundError(
            f"lora={os.fspath(name)!r} is no folder; give the folder that peft saved adapters in, "
            "their name on the hub, a rank, a peft.LoraConfig or None"
        )
    with quiet():
        commit = _from_hub(name, "lora", [ADAPTER_CONFIG], None, "").name
    return _from_hub(name, "lora", [ADAPTER_WEIGHTS], commit, "")


def _from_hub(
    name: str, what: str, files: Sequence[str], revision: str | None, subfolder: str
) -> Path:
    """Download the first file that there is, and return its folder in the hub's cache.

    The folder is named by the commit, or is `subfolder` in a folder that is.
    """
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
        *others, last = files
        place: dict[str, Any] = {"revision": revision, "subfolder": subfolder or None}
        for file in others:
            with suppress(EntryNotFoundError):
                return Path(hf_hub_download(name, file, **place)).parent
        return Path(hf_hub_download(name, last, **place)).parent
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
        held = HELD.get(what, what)
        raise OSError(f"{called} has no {last} on the hub, so it holds no {held}") from error


def download_weights(source: Source) -> None:
    """Download the weights of a model on the hub with progress bars, unless the cache has them.

    Errors are not raised here, but with all others of the model, when it is read.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    if source.commit is None:
        return
    get = partial(
        hf_hub_download,
        source.location,
        revision=source.commit,
        subfolder=source.subfolder or None,
    )
    with suppress(OSError, HfHubHTTPError):
        try:
            get(WEIGHTS)
        except EntryNotFoundError:
            index = json.loads(Path(get(f"{WEIGHTS}.index.json")).read_text(encoding="utf-8"))
            for file in sorted(set(index["weight_map"].values())):
                get(file)


@contextmanager
def quiet() -> Iterator[None]:
    """Hide progress bars, warnings and log messages of the libraries that load models.

    Their messages are either raised as errors by this package, or concern calls that the libraries
    make themselves.
    """
    from huggingface_hub import utils as hub
    from transformers.utils import logging as transformers_logging

    # streams, filters and log levels belong to the whole process, so only one thread may change
    # them at a time; loading a model also advances torch's random generator
    with TorchGenerator().lent():
        loggers = [logging.getLogger(name) for name in ("transformers", "huggingface_hub", "gguf")]
        levels = [logger.level for logger in loggers]
        bars = transformers_logging.is_progress_bar_enabled()
        hub_bars = not hub.are_progress_bars_disabled()
        # some progress bars cannot be disabled
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
