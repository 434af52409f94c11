"""Hooks of a wrong signature, of a plugin that is a class below MascHooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from masc_core import Collection, Context, MascHooks, Task, frozen, hookimpl


@frozen
class Note:
    id: str


NOTES = Collection("notes", Note, lambda note: note.id)


class Plugin(MascHooks):
    @hookimpl
    def masc_tools(self, register: Callable[[Callable[..., Any]], None]) -> None:
        register(NOTES)  # error: mypy[arg-type] pyright[reportArgumentType]

    @hookimpl
    def masc_records(self, register: Callable[[Collection[Any]], None]) -> int:  # error: mypy[override] pyright[reportIncompatibleMethodOverride]
        register(NOTES)
        return 1

    @hookimpl
    async def masc_status(self, ctx: str) -> Mapping[str, Any] | None:  # error: mypy[override] pyright[reportIncompatibleMethodOverride]
        return {"notes": ctx}

    @hookimpl
    def masc_sweep(self, ctx: Context) -> Mapping[str, Any] | None:  # error: mypy[override] pyright[reportIncompatibleMethodOverride]
        return None

    @hookimpl
    async def masc_due(self, ctx: Context) -> int:  # error: mypy[override] pyright[reportIncompatibleMethodOverride]
        return 1

    @hookimpl
    async def masc_task_ended(self, ctx: Context, task: Task) -> Mapping[str, Any] | None:
        return {"locks_released": task.titel}  # error: mypy[attr-defined] pyright[reportAttributeAccessIssue]

    @hookimpl(first=True)  # error: mypy[call-overload,untyped-decorator] pyright[reportCallIssue]
    async def masc_unread(self, ctx: Context, agent: str) -> Mapping[str, Any] | None:
        return None
