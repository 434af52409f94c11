"""Which room a call is for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from masc_core.errors import BindingRequired, InvalidArgument, PathNotAllowed, StartError
from masc_core.rooms import Base, OpenRoom, resolve_base
from masc_core.values import check_text

if TYPE_CHECKING:
    from masc_core.call import Call
    from masc_core.kernel import Kernel

__all__ = ["find_room", "present_room"]


def find_room(kernel: Kernel, call: Call) -> OpenRoom:
    """The room the caller chose with this call or an earlier one, else the server's start room.

    Raises :class:`InvalidArgument`, :class:`BindingRequired` and :class:`PathNotAllowed` for a path that cannot be chosen.
    """
    tool = call.tool
    given = call.arguments.get(tool.room_argument) if tool.room_argument else None
    if given is not None:
        directory = _directory(kernel, call, given)
        try:
            return kernel.rooms.at(resolve_base(directory, explicit=True))
        except StartError as error:  # that room's place or its config.toml is at fault
            raise InvalidArgument(field=tool.room_argument, reason="settings", expected=str(error)) from error
    return present_room(kernel, call)


def present_room(kernel: Kernel, call: Call) -> OpenRoom:
    """The room the client is in."""
    chosen = None if call.tool.start_room else call.bindings.room(call.client)
    return kernel.start_room if chosen is None else kernel.rooms.at(Base(chosen, may_create=True))


def _directory(kernel: Kernel, call: Call, given: object) -> Path:
    field_name = call.tool.room_argument
    if not isinstance(given, str):
        raise InvalidArgument(field=field_name, reason="type", expected="must be string")
    check_text(field_name, given)
    if not 1 <= len(given) <= 500:
        rule = "maxLength" if given else "minLength"
        raise InvalidArgument(field=field_name, reason=rule, expected="must be a path of 1 to 500 characters")
    if not call.client.bindings:
        raise BindingRequired(tool=call.tool.name)
    try:
        path = Path(given).expanduser().resolve()
        found = path.is_dir()
    except (OSError, RuntimeError):
        found = False
    if not found:
        raise InvalidArgument(field=field_name, reason="not_a_directory", expected="must be an existing directory")
    if kernel.allow_rooms is not None and not any(path.is_relative_to(a) for a in kernel.allow_rooms):
        raise PathNotAllowed(path=str(path))
    return path
