"""Texts that a language model wrote, in files of JSON lines that any run can go on with."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import xxhash

from skrec._common import files
from skrec._common.locks import ForkSafeLock

FORMAT = "skrec texts 1"
MAX_FILES = 16  # more files are merged into one
TEXTS, DESCRIPTION = "texts", "description.json"


class WrittenTexts:
    """Texts by the hash of their prompt, in memory and, if there is a folder, on disk.

    Each line of a file contains a key, a text and a checksum. A line that a killed process left
    unfinished, or that was damaged, is skipped, and its text is written again.

    Parameters
    ----------
    memory : str, Path or None
        Folder that several runs and models share. None keeps texts in this object only.
    spec : mapping
        Everything that texts depend on, except their prompt. JSON can represent it.

    Raises
    ------
    TypeError, ValueError
        If `memory` is not a path, or is the path of a file.
    """

    def __init__(self, memory: str | Path | None, spec: Mapping[str, Any]) -> None:
        self._known: dict[str, str] = {}
        self._lock = ForkSafeLock()
        self.folder: Path | None = None
        if memory is not None:
            self._description = json.dumps({"format": FORMAT, **spec}, sort_keys=True)
            name = xxhash.xxh3_128_hexdigest(self._description.encode())
            self.folder = files.folder_below(memory, TEXTS) / name

    @staticmethod
    def key(prompt: str) -> str:
        """Return the key of a prompt."""
        return xxhash.xxh3_128_hexdigest(prompt.encode("utf-8", "surrogatepass"))

    def found(self, prompts: list[str]) -> dict[str, str]:
        """Return the texts of those prompts that were written before, by prompt."""
        if any(self.key(prompt) not in self._known for prompt in prompts):
            self._read()
        keys = {prompt: self.key(prompt) for prompt in prompts}
        return {p: self._known[key] for p, key in keys.items() if key in self._known}

    @contextlib.contextmanager
    def writing(self) -> Iterator[Writer]:
        """Let one process at a time write texts; a second one waits and then finds them."""
        if self.folder is None:
            with self._lock.held():
                yield Writer(self, None)
            return
        with self._lock.held(), locked(self.folder):
            files.make_folder(self.folder, self.folder.parents[1], "memory")
            if not (self.folder / DESCRIPTION).exists():
                files.write_whole(self.folder / DESCRIPTION, [self._description.encode()])
            self._read()
            self._merge()
            yield Writer(self, self.folder / f"{uuid.uuid4().hex}.jsonl")

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("*.jsonl")) if self.folder is not None else []

    def _read(self) -> None:
        """Read the texts in the folder."""
        found = dict(self._known)
        for path in self._paths():
            with contextlib.suppress(FileNotFoundError):  # merged by another process
                for line in path.read_bytes().split(b"\n"):
                    found.update(text_of(line))
        self._known = found

    def _merge(self) -> None:
        """Write the texts of many files into one; the caller holds the lock."""
        paths = self._paths()
        if self.folder is None or len(paths) < MAX_FILES:
            return
        lines = (line_of(key, text) for key, text in self._known.items())
        files.write_whole(self.folder / f"{uuid.uuid4().hex}.jsonl", lines)
        for path in paths:
            path.unlink(missing_ok=True)


class Writer:
    """Adds texts to a file as they are written.

    Parameters
    ----------
    texts : WrittenTexts
        Where the texts are kept in memory.
    path : Path or None
        File of the texts.
    """

    def __init__(self, texts: WrittenTexts, path: Path | None) -> None:
        self._texts, self._path = texts, path

    def add(self, written: Mapping[str, str]) -> None:
        """Keep texts by their prompt. They are on disk when this returns."""
        by_key = {self._texts.key(prompt): text for prompt, text in written.items()}
        if self._path is not None and by_key:
            with open(self._path, "ab") as file:
                file.writelines(line_of(key, text) for key, text in by_key.items())
        self._texts._known = {**self._texts._known, **by_key}


def lock_path(folder: Path) -> Path:
    """Return the path of the lock file of a folder of texts."""
    return folder.with_name(f"{folder.name}.lock")


def locked(folder: Path) -> contextlib.AbstractContextManager[bool]:
    """Return a context in which one process at a time writes to a folder of texts."""
    return files.locked(lock_path(folder), folder.parents[1], "memory")


def line_of(key: str, text: str) -> bytes:
    """Return the line of a text, with a checksum."""
    check = xxhash.xxh3_64_hexdigest(f"{key} {text}".encode("utf-8", "surrogatepass"))
    return json.dumps({"key": key, "text": text, "check": check}).encode() + b"\n"


def text_of(line: bytes) -> dict[str, str]:
    """Return the key and the text of a line, or nothing if the line is damaged."""
    try:
        found = json.loads(line)
        key, text = found["key"], found["text"]
        return {key: text} if line_of(key, text) == line + b"\n" else {}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
