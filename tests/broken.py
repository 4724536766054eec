"""What tests of the public checks break operators with."""

from torch import nn


class Forward(nn.Module):
    """A module made of a function, and of an inner module where there is one."""

    def __init__(self, function, inner=None):
        super().__init__()
        self.function = function
        self.inner = inner

    def forward(self, *args):
        return self.function(*args) if self.inner is None else self.function(self.inner, *args)
