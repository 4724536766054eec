"""A device that is not the CPU, for machines without a GPU.

Within `elsewhere()`, tensors on the device "meta" have values: they are computed on the CPU, but
refuse to meet tensors of the CPU, as those of a GPU would. So a forgotten ``.to(device)`` fails.
`Synchronizations` counts how often the CPU waits for values of the device.
"""

from collections import Counter
from contextlib import contextmanager, nullcontext
from importlib import import_module

import pytest
import torch
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")
CPU = torch.device("cpu")
OPTIMIZER = import_module("torch.optim.optimizer")
COPIES = ("aten::_to_copy", "aten::copy_", "aten::_foreach_copy_")
# operations whose results have sizes that depend on values, so that the CPU waits for them
SIZED_BY_VALUES = ("aten::nonzero", "aten::masked_select", "aten::_unique2", "aten::unique_dim")


class Elsewhere(torch.Tensor):
    """A tensor on the device "meta" with values, which lie in a tensor of the CPU."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=DEVICE,
            requires_grad=inner.requires_grad,
        )

    def __init__(self, inner):
        self.inner = inner

    def __repr__(self):
        return f"Elsewhere({self.inner})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {}, Counter())


def inner(value):
    """Return the tensor of the CPU that computes, and the CPU in place of the device."""
    if isinstance(value, Elsewhere):
        return value.inner
    if isinstance(value, torch.device) and value.type == DEVICE.type:
        return CPU
    return value


def outer(value):
    return Elsewhere(value) if type(value) is torch.Tensor else value


def compute(func, args, kwargs, waits):
    """Compute an operation on the CPU, on tensors that are all on one device."""
    name = func._schema.name
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    is_there = [isinstance(tensor, Elsewhere) for tensor in tensors]
    target = kwargs.get("device")
    if not any(is_there) and (target is None or torch.device(target).type != DEVICE.type):
        return func(*args, **kwargs)
    if name in COPIES:
        arrives = is_there[0] if name != "aten::_to_copy" else _is_elsewhere(target, is_there[0])
        if any(is_there) and not arrives:
            waits[name] += 1
    else:
        for tensor, there in zip(tensors, is_there, strict=True):
            if not there and tensor.dim() and any(is_there):
                raise RuntimeError(f"{name}: a tensor of the CPU meets one of another device")
        arrives = name != "aten::_local_scalar_dense"
        by_mask = name in ("aten::index", "aten::index_put", "aten::index_put_") and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        if not arrives or name in SIZED_BY_VALUES or by_mask:
            waits[name] += 1
    result = func(*tree_map(inner, args), **tree_map(inner, kwargs))
    if not arrives:
        return result
    if torch.Tag.inplace_view in func.tags:  # the outer tensor changes its shape, too
        with no_dispatch():
            func(*args, **kwargs)
    aliases = {id(tensor.inner): tensor for tensor in tensors if isinstance(tensor, Elsewhere)}
    # what an operation changed in place stays the same tensor
    return tree_map(lambda value: aliases.get(id(value), outer(value)), result)


def _is_elsewhere(target, before):
    return before if target is None else torch.device(target).type == DEVICE.type


class Synchronizations(TorchDispatchMode):
    """Computes operations on the device, and counts those for which the CPU waits.

    Attributes
    ----------
    waits : Counter
        Number of operations, by name.
    """

    def __init__(self):
        super().__init__()
        self.waits = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {}, self.waits)


def _without_gradients(context):
    context.before = torch.is_grad_enabled()
    torch.set_grad_enabled(False)


def _as_before(context, *error):
    torch.set_grad_enabled(context.before)


@contextmanager
def elsewhere():
    """Give the device "meta" values, and yield the counter of synchronizations."""
    autocast = torch.autocast

    def autocast_of(device_type, *args, **kwargs):
        return (
            nullcontext() if device_type == DEVICE.type else autocast(device_type, *args, **kwargs)
        )

    def fused_devices():
        return ["cpu", DEVICE.type]

    with pytest.MonkeyPatch.context() as patch, Synchronizations() as mode:
        patch.setattr(torch, "autocast", autocast_of)
        # in inference mode, operations would arrive here before autograd has decomposed them
        patch.setattr(torch.inference_mode, "__enter__", _without_gradients)
        patch.setattr(torch.inference_mode, "__exit__", _as_before)
        patch.setattr(OPTIMIZER, "_get_fused_kernels_supported_devices", fused_devices)
        yield mode
