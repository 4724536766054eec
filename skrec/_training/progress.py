"""Progress of work that is done before the first epoch."""

from __future__ import annotations

from typing import Any


class ProgressReporter:
    """Report the steps of a task to callbacks, and print them if asked.

    Callbacks are not called for tasks without steps.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext
        Context of the fit.
    name : str
        Name of the task.
    verbose : int
        Whether to print one line per step.
    **callback_kwargs : dict
        Arguments of the callbacks.
    """

    def __init__(self, context: Any, name: str, verbose: int, **callback_kwargs: Any):
        self._context, self._name, self._verbose = context, name, verbose
        self._callback_kwargs = callback_kwargs
        self._task: Any = None

    def __call__(self, n_done: int, n_items: int) -> None:
        """Report that `n_done` of `n_items` items are done."""
        if self._task is None:
            self._task = self._context.subcontext(task_name=self._name, max_subtasks=None)
            self._task.call_on_fit_task_begin(**self._callback_kwargs)
        step = self._task.subcontext(task_name="page")
        step.call_on_fit_task_begin(**self._callback_kwargs)
        if self._verbose:
            print(f"{self._name}: {n_done}/{n_items} items")
        step.call_on_fit_task_end(**self._callback_kwargs)
        if n_done == n_items:
            self._task.call_on_fit_task_end(**self._callback_kwargs)
