"""A user's function that writes texts, such as a client of an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


class CallableWriter:
    """Writes texts with a function of texts.

    Parameters
    ----------
    function : callable
        Function of a list of texts that returns as many texts. An exception in place of a text
        marks a failure.
    name : str or None
        What identifies the function between runs. None takes its attribute ``fingerprint``.
    batch_size : int
        Number of texts per call.

    Attributes
    ----------
    n_calls, n_tokens : int
        Number of calls, and 0, as the tokens of a function are unknown.
    fingerprint : str or None
        What identifies the function. None if nothing does.
    """

    def __init__(
        self, function: Callable[[list[str]], Sequence[Any]], name: str | None, batch_size: int
    ) -> None:
        self._function, self.batch_size = function, batch_size
        self.fingerprint = getattr(function, "fingerprint", None) if name is None else name
        self.n_calls = self.n_tokens = 0

    def cut(self, values: list[str]) -> list[str]:
        """Return the values as they are; the function decides how much it reads."""
        return values

    def write(self, prompts: list[str]) -> list[str | Exception]:
        """Return the text of each prompt, or an error where there is none.

        Raises
        ------
        TypeError, ValueError
            If the function does not return one text per text.
        """
        self.n_calls += 1
        try:
            answers = self._function(list(prompts))
        except MemoryError:
            raise
        except Exception as error:
            if len(prompts) == 1:
                return [error]
            # one text may have failed, so that the others are asked for one by one
            return [answer for prompt in prompts for answer in self.write([prompt])]
        if isinstance(answers, str | bytes) or not isinstance(answers, Sequence):
            raise TypeError(
                f"model must return a list of texts for a list of texts, got "
                f"{type(answers).__name__}"
            )
        if len(answers) != len(prompts):
            raise ValueError(
                f"model must return one text per text, got {len(answers)} for {len(prompts)}"
            )
        return [_checked(answer) for answer in answers]


def _checked(answer: Any) -> str | Exception:
    """Return a text or an error; anything else is an error."""
    if isinstance(answer, str | Exception):
        return answer
    return TypeError(f"the model must write a text, got {type(answer).__name__}")
