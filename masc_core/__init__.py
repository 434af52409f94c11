"""MASC: one room where several coding agents work on one repository without stepping on each other.

The names below are what plugins import.
"""

from masc_core.context import Caller, Context
from masc_core.errors import MascError, Refused, error
from masc_core.frozen import evolve, frozen
from masc_core.hookspecs import hookimpl
from masc_core.offers import Visit, prompt, resource
from masc_core.store.collections import Collection, Log, index
from masc_core.tools import ADMIN, DESTRUCTIVE, READ, READER, WORKER, WRITE, CallerUse, Effect, Role, tool
from masc_core.values import AgentName, Bound, FilePath, Message, Parsed, TaskId, Title, Verbatim

__version__ = "0.1.0"

__all__ = [
    "ADMIN",
    "DESTRUCTIVE",
    "READ",
    "READER",
    "WORKER",
    "WRITE",
    "AgentName",
    "Bound",
    "Caller",
    "CallerUse",
    "Collection",
    "Context",
    "Effect",
    "FilePath",
    "Log",
    "MascError",
    "Message",
    "Parsed",
    "Refused",
    "Role",
    "TaskId",
    "Title",
    "Verbatim",
    "Visit",
    "error",
    "evolve",
    "frozen",
    "hookimpl",
    "index",
    "prompt",
    "resource",
    "tool",
]
