"""MASC: one room where several coding agents work on one repository without stepping on each other.

The names below are what plugins import.
"""

from attrs import field

from masc_core.context import Caller, Context
from masc_core.errors import MascError, Refused, error
from masc_core.frozen import evolve, frozen
from masc_core.hookspecs import MascHooks, hookimpl
from masc_core.identity import Client
from masc_core.offers import Endpoint, Visit, prompt, resource
from masc_core.records import Agent, Event, Task
from masc_core.rooms import OpenRoom
from masc_core.settings import between, one_of
from masc_core.store.collections import Collection, Log, index
from masc_core.store.driver import IndexEntry
from masc_core.store.transaction import Transaction
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
    "Agent",
    "AgentName",
    "Bound",
    "Caller",
    "CallerUse",
    "Client",
    "Collection",
    "Context",
    "Effect",
    "Endpoint",
    "Event",
    "FilePath",
    "IndexEntry",
    "Log",
    "MascError",
    "MascHooks",
    "Message",
    "OpenRoom",
    "Parsed",
    "Refused",
    "Role",
    "Task",
    "TaskId",
    "Title",
    "Transaction",
    "Verbatim",
    "Visit",
    "between",
    "error",
    "evolve",
    "field",
    "frozen",
    "hookimpl",
    "index",
    "one_of",
    "prompt",
    "resource",
    "tool",
]
