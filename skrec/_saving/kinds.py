"""The kinds of values in fitted recommenders that JSON lacks: how each is written and read."""

from __future__ import annotations

import datetime
import inspect
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from scipy import sparse
from tokenizers import Tokenizer

from skrec._data.item_files import read_items, write_items
from skrec._data.items import Items
from skrec._operators import Operator
from skrec._saving import language_models, sklearn_objects
from skrec._saving.codec import Codec, Damaged, Kind
from skrec._saving.registry import PARTS, name_of, registered
from skrec._saving.weights import to_array, to_tensor
from skrec.content._lm import load_tokenizer, quiet
from skrec.content._lm.pretrained import PretrainedText
from skrec.content._texts import is_failure

PRIVATE = {"_as_frame"}  # attributes of fitted operators without a final underscore
TRUST_CODE = "trust_remote_code"
ARROW = {str(kind): kind for kind in (pa.int64(), pa.large_string())}


def kinds() -> list[Kind]:
    """Return all kinds. The first kind with the type of a value is used for it."""
    from peft import LoraConfig
    from transformers import PreTrainedTokenizerBase as Pretrained

    return [
        Kind("timedelta", (datetime.timedelta, np.timedelta64), _write_delta, _read_delta),
        Kind("scalar", (np.generic,), _write_array, _read_scalar),
        Kind("float", (float,), _write_as_str, _read_float),
        Kind("array", (np.ndarray,), _write_array, _read_array),
        Kind("sparse", (sparse.csr_array,), _write_sparse, _read_sparse),
        Kind("arrow", (pa.Array,), _write_arrow, _read_arrow),
        Kind("table", (pa.Table,), _write_table, _read_table),
        Kind("path", (Path,), _write_as_str, _read_path),
        Kind("device", (torch.device,), _write_as_str, _read_device),
        Kind("random state", (np.random.RandomState,), _write_random_state, _read_random_state),
        Kind("items", (Items,), _write_items, _read_items),
        Kind("tokenizer", (Tokenizer,), _write_tokenizer, _read_tokenizer),
        Kind("pretrained tokenizer", (Pretrained,), _write_pretrained, _read_pretrained),
        Kind("lora", (LoraConfig,), language_models.write_lora, language_models.read_lora),
        Kind("base", (language_models.BaseFolder,), _write_base, _read_base),
        Kind("operator", (Operator, *PARTS), _write_object, _read_object),
        sklearn_objects.KIND,
    ]


def _write_as_str(codec: Codec, value: Any, at: str) -> dict[str, Any]:
    return {"value": str(value)}


def _read_float(codec: Codec, value: dict[str, Any]) -> float:
    """Return an infinite float or NaN; `Codec` writes finite ones as JSON."""
    return float(value["value"])


def _read_path(codec: Codec, value: dict[str, Any]) -> Path:
    return Path(value["value"])


def _read_device(codec: Codec, value: dict[str, Any]) -> torch.device:
    return torch.device(value["value"])


def _write_array(codec: Codec, value: Any, at: str) -> dict[str, Any]:
    """Add an array or scalar to `codec.arrays`; write objects and strings as JSON."""
    array = np.asarray(value)
    if array.dtype.kind in "OU":
        return {"shape": list(array.shape), "values": codec.encode(array.ravel().tolist(), at)}
    name = at
    while name in codec.arrays:
        name += "_"
    codec.arrays[name] = to_tensor(array)
    return {"name": name}


def _read_array(codec: Codec, value: dict[str, Any]) -> np.ndarray:
    if "name" not in value:
        array = np.empty(len(value["values"]), dtype=object)
        array[:] = codec.decode(value["values"])
        return array.reshape(value["shape"])
    if value["name"] not in codec.arrays:
        raise Damaged(f"arrays.safetensors lacks {value['name']!r}")
    return to_array(codec.arrays[value["name"]])


def _read_scalar(codec: Codec, value: dict[str, Any]) -> Any:
    return _read_array(codec, value)[()]


def _write_delta(codec: Codec, value: Any, at: str) -> dict[str, Any]:
    return {"microseconds": float(np.timedelta64(value) / np.timedelta64(1, "us"))}


def _read_delta(codec: Codec, value: dict[str, Any]) -> datetime.timedelta:
    return datetime.timedelta(microseconds=value["microseconds"])


def _write_sparse(codec: Codec, value: Any, at: str) -> dict[str, Any]:
    parts = {name: getattr(value, name) for name in ("data", "indices", "indptr")}
    arrays = {name: _write_array(codec, part, f"{at}.{name}") for name, part in parts.items()}
    return {"shape": list(value.shape), **arrays}


def _read_sparse(codec: Codec, value: dict[str, Any]) -> Any:
    parts = tuple(_read_array(codec, value[name]) for name in ("data", "indices", "indptr"))
    try:
        matrix = sparse.csr_array(parts, shape=tuple(value["shape"]))
        matrix.check_format(full_check=True)
    except (ValueError, TypeError) as error:
        raise Damaged(f"a sparse matrix is damaged: {error}") from error
    return matrix


def _write_arrow(codec: Codec, value: pa.Array, at: str) -> dict[str, Any]:
    if str(value.type) not in ARROW:
        raise TypeError(f"save can't hold {at}, an array of {value.type}")
    return {"type": str(value.type), "values": value.to_pylist()}


def _read_arrow(codec: Codec, value: dict[str, Any]) -> pa.Array:
    return pa.array(value["values"], ARROW[value["type"]])


def _write_table(codec: Codec, value: pa.Table, at: str) -> dict[str, Any]:
    """Write a table to a parquet file, with the Arrow types of its columns."""
    import pyarrow.parquet as pq

    name = codec.new_file(f"{at.strip('_')}.parquet")
    # the names of the fields of lists stay as they are
    pq.write_table(value, codec.folder / name, use_compliant_nested_type=False)
    return {"file": name}


def _read_table(codec: Codec, value: dict[str, Any]) -> pa.Table:
    import pyarrow.parquet as pq

    return pq.read_table(codec.path(value["file"])).combine_chunks()


def _write_random_state(codec: Codec, value: np.random.RandomState, at: str) -> dict[str, Any]:
    return {"state": codec.encode(value.get_state(legacy=False), at)}


def _read_random_state(codec: Codec, value: dict[str, Any]) -> np.random.RandomState:
    made = np.random.RandomState()
    made.set_state(codec.decode(value["state"]))
    return made


def _write_items(codec: Codec, value: Items, at: str) -> dict[str, Any]:
    name = codec.new_file("items.parquet")
    write_items(value, codec.folder / name)
    return {"file": name}


def _read_items(codec: Codec, value: dict[str, Any]) -> Items:
    return read_items(codec.path(value["file"]))


def _write_tokenizer(codec: Codec, value: Tokenizer, at: str) -> dict[str, Any]:
    return {"value": value.to_str()}


def _read_tokenizer(codec: Codec, value: dict[str, Any]) -> Tokenizer:
    try:
        return Tokenizer.from_str(value["value"])
    except BaseException as error:  # a panic of the tokenizers library is no Exception
        if not is_failure(error):
            raise
        raise Damaged(f"a tokenizer cannot be read: {error}") from error


def _write_pretrained(codec: Codec, value: Any, at: str) -> dict[str, Any]:
    """Write a tokenizer of transformers to a folder."""
    name = codec.new_file("tokenizer")
    with quiet():
        value.save_pretrained(codec.folder / name)
    return {"folder": name}


def _read_pretrained(codec: Codec, value: dict[str, Any]) -> Any:
    return load_tokenizer(str(codec.path(value["folder"])), None, False, None)


def _write_base(codec: Codec, value: language_models.BaseFolder, at: str) -> dict[str, Any]:
    return {"folder": value.name}


def _read_base(codec: Codec, value: dict[str, Any]) -> str:
    """Return the path of the folder with a language model."""
    return str(codec.path(value["folder"]))


def _write_object(codec: Codec, value: Any, at: str) -> dict[str, Any]:
    """Write an operator, or a part of one, as the name of its class and its state."""
    state = value.__getstate__()
    if isinstance(value, PretrainedText):
        state = state | language_models.model_reference(codec, value, f"{at}.model")
    names = {kind: name for name, kind in registered().items()}
    kind = type(value)
    if kind not in names and name_of(kind) in registered():
        raise TypeError(f"save can't hold {at}: its class has the name of another, {name_of(kind)}")
    return {
        "class": names.get(kind) or name_of(kind),
        "state": codec.encode_state(state, f"{at}."),
    }


def _read_object(codec: Codec, value: dict[str, Any]) -> Any:
    kind = _class_of(codec, value["class"])
    state = {name: codec.decode(each) for name, each in value["state"].items()}
    _refuse_code(codec, state)
    if kind in registered().values():
        state = _known_state(kind, value["class"], state)
    made: Any = object.__new__(kind)
    if hasattr(made, "__setstate__"):
        made.__setstate__(state)
    else:
        vars(made).update(state)
    return made


def _class_of(codec: Codec, name: str) -> type:
    """Return a registered or trusted class, or raise a ValueError for any other name."""
    operators = [kind for kind in codec.trusted if isinstance(kind, type)]
    operators = [kind for kind in operators if issubclass(kind, (Operator, *PARTS))]
    known = {name_of(kind): kind for kind in operators} | registered()
    if name not in known:
        raise ValueError(
            f"the recommender holds an operator of the class {name}, which is not skrec's own; if "
            f"you trust it, import it and name it: load(path, trusted=[{name.rpartition('.')[2]}])"
        )
    return known[name]


def _known_state(kind: type, name: str, state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a class of skrec, with defaults for parameters that it lacks.

    Raises
    ------
    Damaged
        If there is an attribute that the class does not set.
    """
    defaults: dict[str, Any] = {}
    if is_dataclass(kind):
        allowed = {field.name for field in fields(kind)}
    elif issubclass(kind, Operator):
        parameters = inspect.signature(kind).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        allowed = {p.name for p in parameters} | PRIVATE
        allowed |= {each for each in state if re.fullmatch(r"[a-z]\w*_", each)}
    else:
        allowed = {"codes"}  # of a WordTokenizer
    unknown = sorted(state.keys() - allowed)
    if unknown:
        raise Damaged(f"recommender.json gives {name} the attribute {unknown[0]}, which it lacks")
    return defaults | state


def check_trusted(trusted: Any) -> tuple[Any, ...]:
    """Return the entries of `trusted`, or raise an error if one of them has no meaning."""
    entries = () if isinstance(trusted, str | type) else tuple(trusted)
    if isinstance(trusted, str | type):
        raise TypeError(f"trusted must be a list, got {trusted!r}; write trusted=[{trusted!r}]")
    for each in entries:
        is_name = isinstance(each, str) and re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", each)
        if not (isinstance(each, type) or each == TRUST_CODE or is_name):
            raise ValueError(
                "trusted must be a list of classes, dotted names of types and "
                f"'{TRUST_CODE}', got {each!r}"
            )
    return entries


def _refuse_code(codec: Codec, state: dict[str, Any]) -> None:
    """Raise a ValueError if a language model comes with code that is not trusted."""
    if state.get("trust_remote_code") and TRUST_CODE not in codec.trusted:
        raise ValueError(
            f"the language model {state.get('model')} runs code that comes with it; if you trust "
            "that, load(path, trusted=['trust_remote_code'])"
        )
