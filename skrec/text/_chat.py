"""A client for servers that speak the chat-completions format, on the standard library."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from skrec._common.checks import check_int, check_real

MAX_ANSWER = 16 << 20  # bytes
MAX_MESSAGE = 300  # characters of an error page that are shown
BUSY = {408, 409, 429, 500, 502, 503, 504}  # answers after which another try may succeed


class ChatClient:
    """Language model behind an endpoint that speaks the chat-completions format.

    An instance is a callable ``texts -> texts`` for :class:`LLMRewriter` and :class:`UserProfiler`.
    Many servers of language models speak this format, on the same machine or elsewhere. The key is
    read from an environment variable in each call, so it is in no attribute, pickle or log.

    Parameters
    ----------
    url : str
        Address of the endpoint, such as ``"http://localhost:8000/v1/chat/completions"``.
    model : str
        Name of the model at the endpoint.
    key_variable : str, default=None
        Name of the environment variable that contains the key. None sends no key.
    system : str, default=None
        Message that tells the model its role. It comes before each text.
    max_tokens : int, default=128
        Maximum number of tokens of an answer.
    temperature : float, default=0.0
        Temperature of the sampling.
    n_threads : int, default=4
        Number of requests at a time.
    n_retries : int, default=2
        How often a request is repeated if the server is busy or cannot be reached.
    wait : float, default=1.0
        Seconds before a request is repeated for the first time. The time doubles with each try.
    timeout : float, default=60.0
        Seconds after which a request fails.

    Attributes
    ----------
    fingerprint : str
        What the answers depend on, besides the text.

    Raises
    ------
    ValueError
        If the address is not one of http or https, or a number is out of range.

    See Also
    --------
    LLMRewriter : Adds columns to items, written by a language model.

    Examples
    --------
    >>> from skrec.text import ChatClient
    >>> ChatClient("http://localhost:8000/v1/chat/completions", "my-model")
    ChatClient('http://localhost:8000/v1/chat/completions', 'my-model')
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key_variable: str | None = None,
        system: str | None = None,
        max_tokens: int = 128,
        temperature: float = 0.0,
        n_threads: int = 4,
        n_retries: int = 2,
        wait: float = 1.0,
        timeout: float = 60.0,
    ) -> None:
        if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"url must begin with http:// or https://, got {url!r}")
        if urlsplit(url).username or urlsplit(url).password:
            raise ValueError("url must not contain a key or a password; use key_variable")
        check_int("max_tokens", max_tokens)
        check_int("n_threads", n_threads)
        check_int("n_retries", n_retries, minimum=0)
        check_real("temperature", temperature, closed="left")
        check_real("wait", wait, closed="left")
        check_real("timeout", timeout, closed="none")
        self.url, self.model, self.key_variable, self.system = url, model, key_variable, system
        self.max_tokens, self.temperature = max_tokens, temperature
        self.n_threads, self.n_retries = n_threads, n_retries
        self.wait, self.timeout = wait, timeout

    @property
    def fingerprint(self) -> str:
        """What the answers depend on, besides the text."""
        parts = ("url", "model", "system", "max_tokens", "temperature")
        return json.dumps({name: getattr(self, name) for name in parts})

    def __repr__(self) -> str:
        return f"ChatClient({self.url!r}, {self.model!r})"

    def __call__(self, texts: Sequence[str]) -> list[str | Exception]:
        """Return the answers to texts. An answer that failed is an exception.

        Parameters
        ----------
        texts : sequence of str
            The texts.

        Returns
        -------
        list of str or Exception
            One answer per text, in the same order.
        """
        with ThreadPoolExecutor(min(self.n_threads, max(1, len(texts)))) as pool:
            return list(pool.map(self._answer_or_error, texts))

    def _answer_or_error(self, text: str) -> str | Exception:
        for n_tried in range(self.n_retries + 1):
            try:
                return self._answer(text)
            except (OSError, ValueError) as error:
                code = getattr(error, "code", None)
                may_pass = code in BUSY if code else isinstance(error, OSError)
                if not may_pass or n_tried == self.n_retries:
                    return self._explained(error)
            time.sleep(self.wait * 2**n_tried)
        raise AssertionError("the loop returns")

    def _answer(self, text: str) -> str:
        """Send one request and return the text of the answer."""
        messages = [{"role": "user", "content": text}]
        if self.system is not None:
            messages.insert(0, {"role": "system", "content": self.system})
        body = {
            "model": self.model,
            "messages": messages,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
        }
        headers = {"Content-Type": "application/json"}
        key = self._key()
        if key:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self.url, json.dumps(body).encode(), headers)
        # the standard opener would send the key to wherever an answer leads
        opener = urllib.request.build_opener(_NoRedirects)
        with opener.open(request, timeout=self.timeout) as answer:
            content = answer.read(MAX_ANSWER + 1)
        if len(content) > MAX_ANSWER:
            raise ValueError(f"the answer of {self.url} has more than {MAX_ANSWER:,} bytes")
        try:
            found = json.loads(content)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError):
            found = None
        if not isinstance(found, str):
            shown = ascii(content[:MAX_MESSAGE])
            raise ValueError(f"the answer of {self.url} is no chat completion: {shown}")
        return found.strip()

    def _key(self) -> str | None:
        """Return the key, or None if there is no variable for it."""
        if self.key_variable is None:
            return None
        key = os.environ.get(self.key_variable)
        if not key:
            raise ValueError(f"the environment variable {self.key_variable} of the key is not set")
        return key

    def _explained(self, error: Exception) -> Exception:
        """Return an error with a message that does not contain the key."""
        message = str(error)
        if isinstance(error, urllib.error.HTTPError):
            page = error.read(MAX_MESSAGE).decode("utf-8", "replace")
            message = f"{self.url} answered {error.code} {error.reason}: {page}"
        elif isinstance(error, OSError):
            message = f"{self.url} can't be reached: {getattr(error, 'reason', error)}"
        key = os.environ.get(self.key_variable or "")
        return RuntimeError(message.replace(key, "***") if key else message)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Makes answers that lead elsewhere errors."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None
