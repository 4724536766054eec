"""Formulas in numpy, float64, for tests of predictors: nothing of torch computes."""

import math

import numpy as np
import torch

B, C, WIDTH = 2, 3, 6
EXACT = {"rtol": 0, "atol": 1e-10}


def build(operator, width=WIDTH):
    """Return the module in float64 and eval mode, with weights far from where they start."""
    operator.check(width)
    torch.manual_seed(0)
    module = operator.build(width).double().eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_(0, 0.7)
    return module


def pairs(n_vectors=1):
    """Return user vectors (B, 1, K, D) and candidates (B, C, D)."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(B, 1, n_vectors, WIDTH)), rng.normal(size=(B, C, WIDTH))


def scores(module, user, item, mask=None):
    """Return the module's scores (B, C) of numpy arrays."""
    mask = np.ones((len(user), user.shape[2]), dtype=bool) if mask is None else mask
    with torch.no_grad():
        return module(*map(torch.from_numpy, (user, mask, item))).numpy()


def array(weight):
    return weight.detach().numpy()


def linear(layer, x):
    """W x + b of one vector."""
    y = array(layer.weight) @ x
    return y if layer.bias is None else y + array(layer.bias)


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def gelu(x):
    return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2


def norm(layer, x):
    """Layer norm of one vector."""
    z = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
    return z * array(layer.weight) + array(layer.bias)


def perceptron(mlp, x, activation=relu, last=True):
    """Linear layers with an activation in between; `last`: none after the last one."""
    layers = [layer for layer in mlp.layers if isinstance(layer, torch.nn.Linear)]
    for i, layer in enumerate(layers):
        x = linear(layer, x)
        if not last or i < len(layers) - 1:
            x = activation(x)
    return x
