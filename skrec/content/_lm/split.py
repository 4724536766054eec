"""A language model split into a frozen prefix and a top that starts from the prefix states.

::

    ids --> embeddings --> layers[:s] --> states (U, L, H) --> layers[s:] --> norm --> (U, L, H)
            '------- Prefix -------'     stored on disk        '------- Top -------'

Both parts are the model itself with a few layers replaced. Its own ``forward`` therefore builds the
masks, positions and layer types of every architecture.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from threading import get_ident
from typing import Any

import torch
from torch import nn


def layer_list(model: Any) -> tuple[str, nn.ModuleList]:
    """Return the name and the list of the transformer layers of a model.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The model.

    Returns
    -------
    name : str
        Name of the list, for example ``"encoder.layer"``.
    layers : torch.nn.ModuleList
        The layers.

    Raises
    ------
    ValueError
        If the model has no such list.
    """
    n_layers = getattr(model.config, "num_hidden_layers", None)
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == n_layers:
            return name, module
    raise ValueError(
        f"{type(model).__name__} has no list of {n_layers} layers, so it can't be split, read "
        "layer by layer or given adapters; train it whole (trainable_layers=None, lora=None) or "
        "not at all (trainable_layers=0), or take another model"
    )


class StatesByThread(dict[int, torch.Tensor]):
    """States (U, L, H) of the forward passes that run now, by the number of their thread.

    Copies are empty, because a network may be copied while other threads use it.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> StatesByThread:
        return StatesByThread()

    def __reduce__(self) -> Any:
        return StatesByThread, ()


class Replay(nn.Module):
    """Module that replaces a layer of the prefix and returns given states, whatever its input.

    Parameters
    ----------
    layer : torch.nn.Module
        The layer to replace. Attributes that models read from a layer, such as its attention type,
        are copied.
    slot : StatesByThread
        States of the forward passes that run now.
    n_outputs : int
        Length of the tuple that the layer returns, or 0 if it returns a tensor.
    """

    def __init__(self, layer: nn.Module, slot: StatesByThread, n_outputs: int) -> None:
        super().__init__()
        _copy_attributes(layer, self)
        self._slot, self._n_outputs = slot, n_outputs

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the states in the form of the layer's output."""
        states = self._slot[get_ident()]
        return (states, *[None] * (self._n_outputs - 1)) if self._n_outputs else states


class PrefixComputed(Exception):
    """Raised by `Stop` to end the forward pass. Its argument is the prefix states."""


class Stop(nn.Module):
    """Module that replaces a layer above the prefix and ends the forward pass with its input."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        _copy_attributes(layer, self)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Raise `PrefixComputed` with the hidden states (U, L, H)."""
        raise PrefixComputed(hidden_states_of(args, kwargs))


def _copy_attributes(layer: nn.Module, other: nn.Module) -> None:
    """Copy the public attributes of simple types from a layer to its replacement."""
    for name, value in vars(layer).items():
        if not name.startswith("_") and isinstance(value, (str, int, float, type(None))):
            setattr(other, name, value)


def hidden_states_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
    """Return the hidden states among the arguments of a layer."""
    return args[0] if args else kwargs["hidden_states"]


class Top(nn.Module):
    """The trained part of a language model, which reads prefix states or token ids.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The model. If `n_frozen` is given, it is modified in place, so pass a copy.
    n_frozen : int or None
        Number of frozen layers s. From 1 up, frozen layers are replaced by `Replay` modules, and
        the word embeddings, which are no longer read, by an empty table. With 0, only the
        embeddings are frozen. With None, nothing is frozen.

    Attributes
    ----------
    pretrained : bool
        Whether the trained weights are pretrained. True unless adapters are added.
    reloads_frozen : bool
        Whether frozen weights are restored exactly when `Top` is built again. Always True.
    """

    pretrained = True
    reloads_frozen = True

    def __init__(self, model: Any, n_frozen: int | None) -> None:
        super().__init__()
        if getattr(model, "pooler", None) is not None:
            model.pooler = nn.Identity()  # its output is not used, but some models always call it
        probe = _probe(model, n_frozen)
        for parameter in model.parameters():
            parameter.requires_grad_(parameter in probe.trained)
        self._slot = StatesByThread()
        self.n_frozen = n_frozen
        if n_frozen:
            layers = layer_list(model)[1]
            for at in range(n_frozen):
                layers[at] = Replay(layers[at], self._slot, probe.n_outputs[at])
            table = model.get_input_embeddings()
            empty = nn.Embedding(1, table.embedding_dim, dtype=table.weight.dtype)
            model.set_input_embeddings(empty.requires_grad_(False))
            self._n_inputs = table.embedding_dim
        self.model = model
        if n_frozen:
            self._check_exact(probe)

    def train(self, mode: bool = True) -> Top:
        """Set the training mode. Parts without trained weights stay in evaluation mode."""
        super().train(mode)
        if self.n_frozen:
            for part in self.model.children():
                if not any(parameter.requires_grad for parameter in part.parameters()):
                    part.eval()
        return self

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return last hidden states (U, L, H) of ids (U, L) or prefix states (U, L, H)."""
        if not self.n_frozen:
            return self.model(input_ids=values, attention_mask=mask.long()).last_hidden_state
        U, L, _ = values.shape
        dtype = self.model.dtype
        self._slot[get_ident()] = values.to(dtype)
        # the model requires embeddings, but the replay layers ignore them
        unused = torch.zeros((), dtype=dtype, device=values.device).expand(U, L, self._n_inputs)
        try:
            output = self.model(inputs_embeds=unused, attention_mask=mask.long())
        finally:
            del self._slot[get_ident()]
        return output.last_hidden_state

    def smallest_input(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the input (1, 1) or (1, 1, H) of `forward` for one token, and its mask (1, 1)."""
        mask = torch.ones(1, 1, dtype=torch.bool, device=device)
        if not self.n_frozen:
            return torch.zeros(1, 1, dtype=torch.long, device=device), mask
        dtype = self.model.dtype
        return torch.zeros(1, 1, self._n_inputs, dtype=dtype, device=device), mask

    def _check_exact(self, probe: Probe) -> None:
        """Raise a ValueError if the split model fails or its output differs from the model's."""
        expected = probe.output
        # both are the same computation, so they differ only if kernels sum in another order
        tolerance = max(1e-5, 8 * torch.finfo(expected.dtype).eps)
        training = self.model.training
        self.model.eval()
        reason: Exception | None = None
        try:
            with torch.no_grad():
                output = self(probe.states, torch.ones_like(probe.ids, dtype=torch.bool))
            atol = tolerance * float(expected.nan_to_num().abs().max())
            exact = output.shape == expected.shape and torch.allclose(
                output, expected, rtol=0, atol=atol, equal_nan=True
            )
        except Exception as error:  # the code of an architecture may raise anything
            exact, reason = False, error
        finally:
            self.model.train(training)
        if not exact:
            need = "its upper layers need more than the states that come from below"
            raise ValueError(_split_message(self.model, need)) from reason


def in_float32(model: Any) -> None:
    """Convert weights of 16-bit types to float32, in which small updates are not rounded away.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The model, which is modified in place.
    """
    if model.dtype.itemsize < 4:
        model.float()
        model.config.dtype = torch.float32


def checkpoint_activations(model: Any) -> None:
    """Make a model recompute the activations inside its layers in the backward pass.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The model, which is modified in place.

    Raises
    ------
    ValueError
        If the architecture does not support it.
    """
    if not model.supports_gradient_checkpointing:
        raise ValueError(f"{type(model).__name__} can't do gradient_checkpointing; leave it False")
    # the method is renamed on the way to version 6 of transformers
    new = getattr(model, "activation_checkpointing_enable", None)
    (new or model.gradient_checkpointing_enable)({"use_reentrant": False})


@dataclass
class Probe:
    """Result of running a model on a few tokens.

    Parameters
    ----------
    trained : set of Parameter
        Weights that influence the last hidden states, but not the prefix states.
    n_outputs : list of int
        Length of the tuple that each layer returns, or 0 if it returns a tensor.
    ids : Tensor (1, L)
        Ids of the tokens.
    states : Tensor (1, L, H) or None
        Prefix states. None if `n_frozen` is None.
    output : Tensor (1, L, H)
        Last hidden states.
    """

    trained: set[nn.Parameter]
    n_outputs: list[int]
    ids: torch.Tensor
    states: torch.Tensor | None
    output: torch.Tensor


def _probe(model: Any, n_frozen: int | None) -> Probe:
    """Run a model on a few tokens, and find the weights that output and prefix depend on."""
    prefix_states: list[torch.Tensor] = []  # input of layer s
    layer_outputs: list[Any] = []
    hooks = []
    if n_frozen is not None:
        layers = layer_list(model)[1]
        hooks = [
            layer.register_forward_hook(lambda *a: layer_outputs.append(a[-1])) for layer in layers
        ]
        hooks.append(
            layers[n_frozen].register_forward_pre_hook(
                lambda _, args, kwargs: prefix_states.append(hidden_states_of(args, kwargs)),
                with_kwargs=True,
            )
        )
    model.requires_grad_(True)
    training = model.training
    model.eval()
    # different ids, because positions are tested, too; an odd number, because windows are even
    ids = torch.arange(5, device=model.device).unsqueeze(0)
    try:
        with torch.enable_grad():
            output = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    trained = _leaves(output)
    if n_frozen is not None:
        if not prefix_states:
            raise ValueError(_split_message(model, "its layers are called in a way of its own"))
        trained -= _leaves(prefix_states[0])
    if n_frozen:
        last = layer_outputs[n_frozen - 1]
        if (last[0] if isinstance(last, (tuple, list)) else last) is not prefix_states[0]:
            raise ValueError(
                f"{type(model).__name__} computes between its layers {n_frozen - 1} and "
                f"{n_frozen}, so it can't be split there; train one layer more or less "
                f"(trainable_layers, now {len(layers) - n_frozen})"
            )
    n_outputs = [len(out) if isinstance(out, (tuple, list)) else 0 for out in layer_outputs]
    states = prefix_states[0].detach() if prefix_states else None
    return Probe(trained, n_outputs, ids, states, output.detach())


def _split_message(model: Any, why: str) -> str:
    """Return the error message for a model that cannot be split."""
    return (
        f"{type(model).__name__} can't be split: {why}; train it whole (trainable_layers=None) or "
        "not at all (trainable_layers=0)"
    )


def _leaves(tensor: torch.Tensor) -> set[nn.Parameter]:
    """Return the parameters that a tensor was computed from."""
    found, seen, todo = set(), set(), [tensor.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(node.variable)
        todo += [parent for parent, _ in node.next_functions]
    return found


def split_top(model: Any, n_frozen: int | None) -> Top:
    """Return a trainable copy of the part of a model above its frozen prefix.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The model, which is not modified.
    n_frozen : int or None
        Number of frozen layers, see `Top`.

    Returns
    -------
    Top
    """
    if not n_frozen:
        return Top(copy.deepcopy(model), n_frozen)
    # do not copy the parts that Top replaces
    _, layers = layer_list(model)
    table = model.get_input_embeddings()
    memo: dict[int, Any] = {id(module): module for module in (*layers[:n_frozen], table)}
    return Top(copy.deepcopy(model, memo), n_frozen)
