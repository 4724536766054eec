"""What needs no training: how often an item was clicked, and who clicked it beside what."""

import numpy as np
import pandas as pd
from scipy.sparse import csr_array


def lists_as_matrix(lists, rows, ids, n_rows):
    """Return how often each row lists each item, of shape (n_rows, n_items)."""
    items = pd.Index(ids).get_indexer(np.concatenate(lists))
    row = np.repeat(rows, [len(each) for each in lists])
    return csr_array((np.ones(len(items)), (row, items)), shape=(n_rows, len(ids)))


def clicks_of_users(train, ids):
    """Return who clicked what in training, of shape (n_users, n_items), 0 or 1."""
    users, user = np.unique(train.user_id, return_inverse=True)
    clicked = [
        np.asarray(items)[np.asarray(clicks) == 1]
        for items, clicks in zip(train.candidates, train.clicked, strict=True)
    ]
    matrix = lists_as_matrix(clicked, user, ids, len(users))
    matrix += lists_as_matrix(train.history.tolist(), user, ids, len(users))
    matrix.data = np.minimum(matrix.data, 1.0)
    return matrix


def popularity(train, X, ids):
    """Return scores of X by how many users clicked an item in training."""
    counts = pd.Series(clicks_of_users(train, ids).sum(axis=0), index=ids)
    return [counts[row].to_numpy() for row in X.candidates]


def item_cosine(train, X, ids):
    """Return scores of X by the cosine of items' users in training, summed over the history.

    The sum over clicks of a candidate's cosines is its product with the sum of the clicked items'
    vectors, so that no matrix of items by items is made.
    """
    matrix = clicks_of_users(train, ids)
    norms = np.maximum(np.sqrt(matrix.sum(axis=0)), 1.0)
    vectors = (matrix / norms).T.tocsr()  # of items, in the space of users
    of_rows = lists_as_matrix(X.history.tolist(), np.arange(len(X)), ids, len(X)) @ vectors
    row = np.repeat(np.arange(len(X)), X.candidates.map(len))
    candidates = pd.Index(ids).get_indexer(np.concatenate(X.candidates.tolist()))
    scores = (vectors[candidates] * of_rows.tocsr()[row]).sum(axis=1)
    return np.split(scores, np.flatnonzero(np.diff(row)) + 1)
