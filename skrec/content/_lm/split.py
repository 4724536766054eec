"""A language model cut in two: a frozen prefix, and a top that goes on from its states.

::

    ids --> embeddings --> layers[:s] --> states (U, L, H) --> layers[s:] --> norm --> (U, L, H)
            '------- Prefix -------'      kept in a store      '------- Top -------'

Both halves are the model itself with a few layers exchanged, so that its own ``forward`` builds
the masks, positions and layer types of every architecture.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


def layer_list(model: Any) -> tuple[str, nn.ModuleList]:
    """Find the transformer layers of a model.

    Parameters
    ----------
    model : transformers.PreTrainedModel

    Returns
    -------
    name : str
        Where they are, for example ``"encoder.layer"``.
    layers : torch.nn.ModuleList

    Raises
    ------
    ValueError
        Where the model keeps its layers in another way.
    """
    n_layers = getattr(model.config, "num_hidden_layers", None)
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == n_layers:
            return name, module
    raise ValueError(
        f"{type(model).__name__} has no list of {n_layers} layers, so it can't be split or given "
        "adapters; train it whole (trainable_layers=None, lora=None) or take another model"
    )


class Replay(nn.Module):
    """Stands in for a layer of the prefix, and returns given states whatever comes in.

    Parameters
    ----------
    layer : torch.nn.Module
        The layer; what models look up on it, such as its attention type, is kept.
    held : list of one tensor (U, L, H)
        Where the states are put before each forward pass.
    n_outputs : int
        Length of the tuple that the layer returns; 0 for a bare tensor.
    """

    def __init__(self, layer: nn.Module, held: list, n_outputs: int):
        super().__init__()
        _keep_attributes(layer, self)
        self._held, self._n_outputs = held, n_outputs

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the states, in the form of the layer's answer."""
        if not self._n_outputs:
            return self._held[0]
        return (self._held[0], *[None] * (self._n_outputs - 1))


class Reached(Exception):
    """Carries the input of the first layer above the prefix out of a forward pass."""


class Stop(nn.Module):
    """Stands in for a layer above the prefix, and ends the forward pass with what comes in."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        _keep_attributes(layer, self)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Raise `Reached` with the hidden states (U, L, H)."""
        raise Reached(_hidden(args, kwargs))


def _keep_attributes(layer: nn.Module, other: nn.Module) -> None:
    for name, value in vars(layer).items():
        if not name.startswith("_") and isinstance(value, (str, int, float, type(None))):
            setattr(other, name, value)


def _hidden(args: tuple, kwargs: dict) -> torch.Tensor:
    return args[0] if args else kwargs["hidden_states"]


class Top(nn.Module):
    """The trained part of a language model, from prefix states or from token ids on.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        Changed in place where `n_frozen` is given: hand over a copy.
    n_frozen : int or None
        Layers s that are frozen. From 1 on they are replaced by replays, and word embeddings,
        which nothing reads any more, by an empty table. With 0 only the embeddings are frozen.
        None: nothing is.

    Attributes
    ----------
    pretrained : bool
        Whether what is trained of it is pretrained: True, unless adapters are put in.
    reloads_frozen : True
        Its frozen weights are those of the model, wherever it is built again.
    """

    pretrained = True
    reloads_frozen = True

    def __init__(self, model: Any, n_frozen: int | None):
        super().__init__()
        if getattr(model, "pooler", None) is not None:
            model.pooler = nn.Identity()  # BERT's, whose output is not read; some always call it
        seen = _survey(model, n_frozen)
        for parameter in model.parameters():
            parameter.requires_grad_(parameter in seen.trained)
        self._held: list = [None]
        self.n_frozen = n_frozen
        if n_frozen:
            layers = layer_list(model)[1]
            for at in range(n_frozen):
                layers[at] = Replay(layers[at], self._held, seen.outputs[at])
            table = model.get_input_embeddings()
            empty = nn.Embedding(1, table.embedding_dim, dtype=table.weight.dtype)
            model.set_input_embeddings(empty.requires_grad_(False))
            self._n_inputs = table.embedding_dim
        self.model = model
        if n_frozen:
            self._check_exact(seen)

    def train(self, mode: bool = True) -> Top:
        """Set the mode of what is trained; what replays answer for needs no dropout."""
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
        self._held[0] = values.to(dtype)
        # never read: the replays answer for the embeddings too
        nothing = torch.zeros((), dtype=dtype, device=values.device).expand(U, L, self._n_inputs)
        try:
            answer = self.model(inputs_embeds=nothing, attention_mask=mask.long())
        finally:
            self._held[0] = None
        return answer.last_hidden_state

    def _check_exact(self, seen: Survey) -> None:
        """Refuse a model that, cut in two, fails or answers something else than in one piece."""
        expected = seen.answer
        # the same arithmetic twice: only kernels that sum in another order may differ
        tolerance = max(1e-5, 8 * torch.finfo(expected.dtype).eps)
        training = self.model.training
        self.model.eval()
        reason: Exception | None = None
        try:
            with torch.no_grad():
                answer = self(seen.states, torch.ones_like(seen.ids, dtype=torch.bool))
            atol = tolerance * float(expected.nan_to_num().abs().max())
            exact = answer.shape == expected.shape and torch.allclose(
                answer, expected, rtol=0, atol=atol, equal_nan=True
            )
        except Exception as error:  # whatever the code of an architecture runs into
            exact, reason = False, error
        finally:
            self.model.train(training)
        if not exact:
            need = "its upper layers need more than the states that come from below"
            raise ValueError(_refusal(self.model, need)) from reason


def checkpoint_activations(model: Any) -> None:
    """Make a model compute the activations inside its layers again in the backward pass.

    Parameters
    ----------
    model : transformers.PreTrainedModel

    Raises
    ------
    ValueError
        Where the architecture can't.
    """
    if not model.supports_gradient_checkpointing:
        raise ValueError(f"{type(model).__name__} can't do gradient_checkpointing; leave it False")
    # transformers gave it a new name on the way to version 6
    new = getattr(model, "activation_checkpointing_enable", None)
    (new or model.gradient_checkpointing_enable)({"use_reentrant": False})


@dataclass
class Survey:
    """What was seen when a model read a few tokens.

    Parameters
    ----------
    trained : set of Parameter
        Weights that the last hidden states depend on and the prefix states do not.
    outputs : list of int
        Length of the tuple that each layer returns; 0 for a bare tensor.
    ids : Tensor (1, L)
        The tokens.
    states, answer : Tensor (1, L, H)
        Prefix states, and last hidden states.
    """

    trained: set[nn.Parameter]
    outputs: list[int]
    ids: torch.Tensor
    states: torch.Tensor | None
    answer: torch.Tensor


def _survey(model: Any, n_frozen: int | None) -> Survey:
    """Run a model on a few tokens, and see what its output and its prefix depend on."""
    reached: list[torch.Tensor] = []  # input of layer s
    answers: list[Any] = []  # of each layer
    hooks = []
    if n_frozen is not None:
        layers = layer_list(model)[1]
        hooks = [layer.register_forward_hook(lambda *a: answers.append(a[-1])) for layer in layers]
        hooks.append(
            layers[n_frozen].register_forward_pre_hook(
                lambda _, args, kwargs: reached.append(_hidden(args, kwargs)), with_kwargs=True
            )
        )
    model.requires_grad_(True)
    training = model.training
    model.eval()
    # all different, for positions count; an odd number, for windows are even
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
        if not reached:
            raise ValueError(_refusal(model, "its layers are called in a way of its own"))
        trained -= _leaves(reached[0])
    if n_frozen:
        last = answers[n_frozen - 1]
        if (last[0] if isinstance(last, (tuple, list)) else last) is not reached[0]:
            raise ValueError(
                f"{type(model).__name__} computes between its layers {n_frozen - 1} and "
                f"{n_frozen}, so it can't be split there; train one layer more or less "
                f"(trainable_layers, now {len(layers) - n_frozen})"
            )
    outputs = [len(answer) if isinstance(answer, (tuple, list)) else 0 for answer in answers]
    states = reached[0].detach() if reached else None
    return Survey(trained, outputs, ids, states, output.detach())


def _refusal(model: Any, why: str) -> str:
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
    """Return a trainable copy of a model above its frozen prefix.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        Left as it is.
    n_frozen : int or None
        See `Top`.

    Returns
    -------
    Top
    """
    if not n_frozen:
        return Top(copy.deepcopy(model), n_frozen)
    # the parts that Top replaces are not copied first
    _, layers = layer_list(model)
    table = model.get_input_embeddings()
    memo: dict[int, Any] = {id(module): module for module in (*layers[:n_frozen], table)}
    return Top(copy.deepcopy(model, memo), n_frozen)
