"""Fixed samples of the combinations of several families, small enough to try each."""

from collections.abc import Sequence
from itertools import product
from typing import Any


def covering(*families: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return combinations among which any two values of three families meet at least once.

    They are as many as the two largest families have pairs, which is the fewest possible.

    >>> covering("ab", "xy", "12")
    [('a', 'x', '1'), ('a', 'y', '2'), ('b', 'x', '2'), ('b', 'y', '1')]
    """
    order = sorted(range(len(families)), key=lambda at: -len(families[at]))
    first, second, third = (families[at] for at in order)
    rows = []
    for i, j in product(range(len(first)), range(len(second))):
        # the third value runs through a whole family beside each value of the other two
        found = dict(zip(order, (first[i], second[j], third[(i + j) % len(third)]), strict=True))
        rows.append(tuple(found[at] for at in range(len(families))))
    return rows


def each_twice(*families: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return combinations among which each value of each family is found at least twice.

    >>> each_twice("abc", "xy")
    [('a', 'x'), ('b', 'y'), ('c', 'x'), ('a', 'y'), ('b', 'x'), ('c', 'y')]
    """
    most = max(map(len, families))
    return [
        # the second round is shifted, each family by a number of its own
        tuple(family[(row + shift * at) % len(family)] for at, family in enumerate(families))
        for shift in (0, 1)
        for row in range(most)
    ]
