"""Work before the first epoch, told to callbacks and printed."""

from __future__ import annotations

from typing import Any


class Stage:
    """A task of a fit whose steps are reported as they end; nothing is told of a task without.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext
        Of the fit.
    name : str
        What is done.
    verbose : int
        Whether each step prints a line.
    **told : dict
        What callbacks are told of the fit.
    """

    def __init__(self, context: Any, name: str, verbose: int, **told: Any):
        self._context, self._name, self._verbose, self._told = context, name, verbose, told
        self._task: Any = None

    def __call__(self, n_done: int, n_items: int) -> None:
        """Report a step: so many of all items are done."""
        if self._task is None:
            self._task = self._context.subcontext(task_name=self._name, max_subtasks=None)
            self._task.call_on_fit_task_begin(**self._told)
        step = self._task.subcontext(task_name="page")
        step.call_on_fit_task_begin(**self._told)
        if self._verbose:
            print(f"{self._name}: {n_done}/{n_items} items")
        step.call_on_fit_task_end(**self._told)
        if n_done == n_items:
            self._task.call_on_fit_task_end(**self._told)
