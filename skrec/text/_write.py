"""Prompts -> texts: each distinct prompt is written once, and the rest is kept if one fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skrec._common.messages import warn
from skrec.text._memory import WrittenTexts

MAX_FAILURES = 3  # batches that fail one after another before the rest is not tried
SHOWN = 3  # failures in an error message


def write_texts(
    writer: Any,
    texts: WrittenTexts,
    prompts: list[str],
    name_of: Callable[[int], str],
    on_error: str,
    progress: Callable[[int, int], None],
) -> list[str | None]:
    """Return the text of each prompt. Texts that were written before are not written again.

    Parameters
    ----------
    writer : CausalWriter or CallableWriter
        What writes the texts.
    texts : WrittenTexts
        The texts that were written before. New ones are added batch by batch.
    prompts : list of str
        The prompts. Equal ones are written once.
    name_of : callable
        Function of a position that names its item for error messages.
    on_error : {"raise", "warn"}
        What happens at the end if prompts failed.
    progress : callable
        Function that is called as ``progress(n_done, n_missing)`` after each batch.

    Returns
    -------
    list of str or None
        None where the prompt failed.

    Raises
    ------
    RuntimeError
        If prompts failed and `on_error` is "raise". All other texts are kept in `texts`.
    """
    first: dict[str, int] = {}
    for at, prompt in enumerate(prompts):
        first.setdefault(prompt, at)
    found = texts.found(list(first))
    failed: dict[str, Exception] = {}
    if len(found) < len(first):
        with texts.writing() as file:
            found = texts.found(list(first))  # another process may have written some
            # prompts of similar length have little padding
            missing = sorted((p for p in first if p not in found), key=lambda p: (len(p), first[p]))
            n_done, n_bad = 0, 0
            for start in range(0, len(missing), writer.batch_size):
                batch = missing[start : start + writer.batch_size]
                answers = dict(zip(batch, writer.write(batch), strict=True))
                good = {p: text for p, text in answers.items() if isinstance(text, str)}
                file.add(good)
                found |= good
                failed |= {p: e for p, e in answers.items() if isinstance(e, Exception)}
                n_done += len(batch)
                progress(n_done, len(missing))
                n_bad = 0 if good else n_bad + 1
                if n_bad == MAX_FAILURES:
                    break
    if len(found) < len(first):
        _report(found, first, failed, name_of, on_error, texts.folder is not None)
    return [found.get(prompt) for prompt in prompts]


def _report(
    found: dict[str, str],
    first: dict[str, int],
    failed: dict[str, Exception],
    name_of: Callable[[int], str],
    on_error: str,
    on_disk: bool,
) -> None:
    """Raise or warn about the prompts without a text."""
    shown = "; ".join(f"{name_of(first[p])}: {e}" for p, e in list(failed.items())[:SHOWN])
    n_untried = len(first) - len(found) - len(failed)
    untried = f"; {n_untried} more were not tried, since all of the last ones failed"
    message = (
        f"the model failed on {len(failed)} of {len(first)} texts: {shown}"
        f"{'; ...' if len(failed) > SHOWN else ''}{untried if n_untried else ''}. "
    )
    if on_error == "warn":
        warn(message + "They are null; call transform again to write them")
        return
    place = "memory" if on_disk else "this object"
    raise RuntimeError(
        message + f"The {len(found)} others are kept in {place}: call transform again to write the "
        "rest, or take on_error='warn' to leave them null"
    ) from next(iter(failed.values()), None)
