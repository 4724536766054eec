"""Language models as writers: better texts of items, and profiles of users."""

from skrec.text._chat import ChatClient
from skrec.text._profiler import UserProfiler
from skrec.text._prompts import PROMPTS
from skrec.text._rewriter import LLMRewriter

__all__ = ["PROMPTS", "ChatClient", "LLMRewriter", "UserProfiler"]
