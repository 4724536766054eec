"""Progress of `fit`, for callbacks and for users who watch."""

from __future__ import annotations

from typing import Any

from skrec._common.status import StatusLine

MOST_PARTS = 100  # subtasks of an epoch
MOST_EPOCHS = 20  # with more epochs, those alone are fine enough, and bars of all would not fit


class ProgressReporter:
    """Report the steps of a task before the first epoch to callbacks, and show them.

    Callbacks are not called for tasks without steps.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext
        Context of the fit.
    name : str
        Name of the task.
    status : StatusLine
        Where progress is shown. In log files, each step has a line.
    **callback_kwargs : dict
        Arguments of the callbacks.
    """

    def __init__(self, context: Any, name: str, status: StatusLine, **callback_kwargs: Any):
        self._context, self._name, self._status = context, name, status
        self._callback_kwargs = callback_kwargs
        self._task: Any = None

    def __call__(self, n_done: int, n_items: int) -> None:
        """Report that `n_done` of `n_items` items are done."""
        if self._task is None:
            self._task = self._context.subcontext(task_name=self._name, max_subtasks=None)
            self._task.call_on_fit_task_begin(**self._callback_kwargs)
        step = self._task.subcontext(task_name="page")
        step.call_on_fit_task_begin(**self._callback_kwargs)
        self._status.advance(n_done, n_items, "items")
        if n_done == n_items or not self._status.is_shown:
            self._status.print(f"{self._name}: {n_done}/{n_items} items")
        step.call_on_fit_task_end(**self._callback_kwargs)
        if n_done == n_items:
            self._task.call_on_fit_task_end(**self._callback_kwargs)


class StepReporter:
    """Report the steps of an epoch to callbacks, as parts of equal length, and show them.

    Parameters
    ----------
    epoch : sklearn.callback.CallbackContext
        Context of the epoch, with `n_parts` subtasks.
    n_parts : int
        Number of parts. 0 calls no callbacks.
    status : StatusLine
        Where progress is shown.
    **callback_kwargs : dict
        Arguments of the callbacks.

    Attributes
    ----------
    stops : bool
        Whether a callback asked to stop training, which ends after the epoch.
    """

    def __init__(self, epoch: Any, n_parts: int, status: StatusLine, **callback_kwargs: Any):
        self._epoch, self._n_parts, self._status = epoch, n_parts, status
        self._callback_kwargs = callback_kwargs
        self._n_reported = 0
        self.stops = False

    def __call__(self, n_done: int, n_steps: int) -> None:
        """Report that `n_done` of `n_steps` steps are done."""
        if n_done < n_steps:
            self._status.advance(n_done, n_steps, "steps")
        else:
            self._status.note("finishing")  # the held-out part is scored
        while self._n_reported < n_done * self._n_parts // n_steps:
            part = self._epoch.subcontext(task_name="part")
            part.call_on_fit_task_begin(**self._callback_kwargs)
            self.stops |= bool(part.call_on_fit_task_end(**self._callback_kwargs))
            self._n_reported += 1


def n_parts_of_epoch(context: Any, n_steps: int, max_epochs: int) -> int:
    """Return the number of parts in which an epoch is reported to callbacks.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext
        Context of the fit.
    n_steps : int
        Number of steps of an epoch.
    max_epochs : int

    Returns
    -------
    int
        0 within a search, and if there are many epochs.
    """
    if context.parent is not None or max_epochs > MOST_EPOCHS:
        return 0
    return min(n_steps, MOST_PARTS)
