"""How an embedding model was trained to be read, as sentence-transformers saves it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from skrec.content._lm.safety import find_file
from skrec.content._lm.sources import Source, find_source, quiet

MODULES, PROMPTS = "modules.json", "config_sentence_transformers.json"
SETTINGS = "sentence_bert_config.json"
MODES = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
}
NEW_MODES = {"mean": "mean", "cls": "cls", "lasttoken": "last"}  # from version 6 on


@dataclass(frozen=True)
class SavedReading:
    """How the last hidden states become a vector, and what comes before a text.

    Parameters
    ----------
    pooling : {"mean", "cls", "last"}
    normalize : bool
        Whether vectors have length 1.
    prompts : dict of str to str
        Prompts by their names.
    default_prompt : str or None
        Name of the prompt that is used unless another one is named.
    """

    pooling: str
    normalize: bool
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str | None = None

    def prompt(self, asked: str | None) -> str:
        """Return the prompt of a name, or the default prompt, or a prompt as it is."""
        name = self.default_prompt if asked is None else asked
        return self.prompts.get(name or "", asked or "")


def read_saved(model: Any, revision: str | None, subfolder: str | None) -> SavedReading:
    """Read how an embedding model was trained to be read.

    Parameters
    ----------
    model : str or Path
        Folder or name on the hub.
    revision, subfolder : str or None
        As in `load_base`.

    Returns
    -------
    SavedReading

    Raises
    ------
    ValueError
        If the model was not saved by sentence-transformers, or is read in a way that is not
        supported here.
    """
    if not isinstance(model, str | Path):
        raise ValueError(
            "pooling='saved' reads the files that sentence-transformers saves with a model, and "
            f"this {type(model).__name__} was given as an object; name the pooling"
        )
    with quiet():
        source = find_source(model, "model", revision, subfolder)
        modules = _read(source, MODULES)
        about = _read(source, PROMPTS) or {}
        settings = _read(source, SETTINGS) or {}
    if not isinstance(modules, list) or not all(isinstance(each, dict) for each in modules):
        raise ValueError(
            f"pooling='saved' reads {MODULES}, which sentence-transformers saves with a model and "
            f"{source.name!r} lacks; name the pooling"
        )
    kinds = [str(each.get("type")).rsplit(".", 1)[-1] for each in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise ValueError(
            f"pooling='saved' knows a Transformer, a Pooling and a Normalize, and {source.name!r} "
            f"has {kinds}; name the pooling"
        )
    if settings.get("do_lower_case"):
        raise ValueError(f"{source.name!r} reads lower-case texts; convert them, name the pooling")
    place = PurePosixPath(str(modules[1].get("path")))
    if place.is_absolute() or ".." in place.parts:
        raise ValueError(f"{MODULES} of {source.name!r} names a folder outside of it: {place}")
    config = _read(source, f"{place}/config.json") or {}
    modes = _modes(config)
    if len(modes) != 1 or modes[0] is None or config.get("include_prompt") is False:
        raise ValueError(
            f"pooling='saved' knows the mean, the first and the last token, and {source.name!r} "
            f"has {config}; name the pooling"
        )
    prompts = about.get("prompts") or {}
    return SavedReading(
        modes[0],
        kinds[-1] == "Normalize",
        {str(name): str(text) for name, text in prompts.items() if text},
        about.get("default_prompt_name"),
    )


def _modes(config: dict[str, Any]) -> list[str | None]:
    """Return the poolings that a configuration names, None for one that is not known."""
    named = config.get("pooling_mode")
    if named is None:
        used = [name for name, is_used in config.items() if "pooling_mode" in name and is_used]
        return [MODES.get(name) for name in used]
    return [NEW_MODES.get(str(name)) for name in (named if isinstance(named, list) else [named])]


def write_saved(folder: Path, reading: SavedReading) -> None:
    """Write how a model is read to its folder, as sentence-transformers does."""
    names = ["Transformer", "Pooling", *(["Normalize"] if reading.normalize else [])]
    paths = ["", "1_Pooling", "2_Normalize"]
    modules = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{name}"}
        for n, (name, path) in enumerate(zip(names, paths, strict=False))
    ]
    config = {name: mode == reading.pooling for name, mode in MODES.items()}
    about = {"prompts": reading.prompts, "default_prompt_name": reading.default_prompt}
    (folder / "1_Pooling").mkdir()
    for place, value in {MODULES: modules, "1_Pooling/config.json": config, PROMPTS: about}.items():
        (folder / place).write_text(json.dumps(value, indent=1), encoding="utf-8")


def _read(source: Source, name: str) -> Any:
    """Return the content of a JSON file of a model, or None if there is none."""
    found = None if source.gguf else find_file(source, name)
    if found is None:
        return None
    try:
        return json.loads(found.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} of model={source.name!r} is not valid JSON: {error}") from None
