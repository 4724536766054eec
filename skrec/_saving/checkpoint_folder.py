"""Folder of a checkpoint: values as JSON and tensors as safetensors, replaced as a whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from skrec._common.version import __version__
from skrec._saving.codec import Damaged
from skrec._saving.folder import (
    check_files,
    check_replaceable,
    find_folder,
    read_contents,
    read_json,
    saving_to,
    write_folder,
)

FORMAT = 1
KIND = "checkpoint"
STATE, TENSORS = "checkpoint.json", "tensors.safetensors"


class CheckpointFolder:
    """A folder that contains a checkpoint, or will contain one.

    Parameters
    ----------
    path : str or path-like
        The folder.
    """

    def __init__(self, path: Any):
        self.name = str(path)
        self.path = Path(path).expanduser().absolute()

    def open(self) -> dict[str, Any] | None:
        """Return the values of the checkpoint, or None if there is none.

        Returns
        -------
        dict or None

        Raises
        ------
        FileExistsError
            If the folder contains anything else, which is left alone.
        OSError
            If the folder can't be written to.
        ValueError
            If the checkpoint is damaged or has another format.
        """
        check_replaceable(self.path)
        with saving_to(self.path, "checkpoint"):
            try:
                folder = find_folder(self.path)
            except (FileNotFoundError, Damaged):
                return None  # no folder, or an empty one
            about = read_contents(folder)
            if about.get("class") != KIND:
                raise FileExistsError(
                    f"'{folder}' is a saved recommender and no checkpoint, so it is left alone; "
                    "pass another folder as checkpoint"
                )
            if about.get("format") != FORMAT:
                raise ValueError(
                    f"the checkpoint in '{folder}' has format {about.get('format')}, and this "
                    f"skrec {__version__} reads format {FORMAT}; delete the folder to train anew"
                )
            try:
                check_files(folder, about)
                return read_json(folder / STATE)
            except Damaged as error:
                raise Damaged(f"{error}; delete the folder to train anew") from error

    def read(self) -> dict[str, torch.Tensor]:
        """Return the tensors of the checkpoint, on the CPU."""
        try:
            return safetensors.torch.load_file(find_folder(self.path) / TENSORS)
        except SafetensorError as error:
            raise Damaged(f"the checkpoint in '{self.path}' is damaged: {error}") from error

    def write(self, about: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        """Replace the checkpoint."""

        def fill(folder: Path) -> dict[str, Any]:
            text = json.dumps(about, allow_nan=False)
            (folder / STATE).write_text(text, encoding="utf-8")
            safetensors.torch.save_file(tensors, folder / TENSORS)
            return {"format": FORMAT, "class": KIND, "versions": {"skrec": __version__}}

        write_folder(self.path, fill)
