"""A model server for tests: real HTTP on loopback, scripted behaviour.

It speaks the wire formats of Gemini (``generateContent``), OpenAI (chat completions
and responses) and Anthropic (messages), and does on purpose what providers do by themselves: another version
behind an alias, another fingerprint, a fallback model, a changed system prompt,
sampling, a seed that is ignored, errors::

    with ModelServer({"models": {"flash": {"version": "flash-001"}}}) as server:
        os.environ["GEMINI_BASE_URL"] = server.url
        ...
        server.script({"models": {"flash": {"version": "flash-002"}}})   # the swap

For child processes: ``python -m nightproof.testing.models --script FILE``, and
``PUT /_script`` for the swap.
"""

from nightproof.testing.models.script import Fault, Route, Script, Scripted
from nightproof.testing.models.server import ModelServer, Request

__all__ = ["Fault", "ModelServer", "Request", "Route", "Script", "Scripted"]
