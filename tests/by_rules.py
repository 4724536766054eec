"""Lists under the rules of `recommend`, by plain loops over rows, items and steps."""

import numpy as np


def allowed_codes(n_items, *, candidates=None, exclude=(), satisfied=None, seen=(), removed=()):
    """Return the codes that may be listed in one row, in catalogue order."""
    left_out = {*exclude, *seen, *removed}
    choice = range(n_items) if candidates is None else sorted(set(candidates))
    return [
        code for code in choice if code not in left_out and (satisfied is None or satisfied[code])
    ]


def by_score(scores, codes):
    """Return codes in descending order of their scores, ties in catalogue order."""
    return sorted(codes, key=lambda code: (-scores[code], code))


def fits(code, chosen, limits):
    """Whether a list may get another item; limits are pairs of the items' values and a number."""
    for values, most in limits:
        for value in set(values[code]):
            if sum(value in values[other] for other in chosen) >= most:
                return False
    return True


def greedy(scores, codes, k, limits):
    """Return the list in order of the scores, without items that do not fit."""
    chosen = []
    for code in by_score(scores, codes):
        if len(chosen) < k and fits(code, chosen, limits):
            chosen.append(code)
    return chosen


def mmr(scores, codes, k, diversity, vectors, limits=(), pool=200):
    """Return the list by maximal marginal relevance, of one pool of items after another."""
    lengths = np.linalg.norm(vectors, axis=1)
    unit = vectors / np.where(lengths > 0, lengths, 1)[:, None]
    left, chosen = by_score(scores, codes), []
    while left and len(chosen) < k:
        wide = [(values, 10 * most) for values, most in limits]
        best = greedy(scores, left, max(pool, 2 * k), wide)
        low, high = scores[best[-1]], scores[best[0]]
        while len(chosen) < k:
            gains = {}
            for code in best:
                if code in chosen or not fits(code, chosen, limits):
                    continue
                relevance = (scores[code] - low) / (high - low) if high > low else 0.0
                similar = max((unit[code] @ unit[other] for other in chosen), default=0.0)
                gains[code] = (1 - diversity) * relevance - diversity * similar
            if not gains:
                break
            chosen.append(max(gains, key=gains.get))
        left = [code for code in left if code not in best and fits(code, chosen, limits)]
    return chosen
