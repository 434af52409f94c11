"""``masc auth``: the person's way to tokens, which also ends a lockout."""

from __future__ import annotations

import click

from masc_core.commands import MascCommand, call_as_person, common, run

__all__ = ["auth"]

_as_file = click.option(
    "--file", "as_file", is_flag=True, help="Write secrets below .masc/secrets instead of printing."
)
_name = click.argument("name", metavar="NAME")


def _deliver(as_file: bool) -> str:
    return "file" if as_file else "result"


@click.group()
def auth() -> None:
    """Tokens and roles: who may do what in this room.

    \b
    masc auth enable --require-token      nobody calls without a token
    masc auth token claude                a worker's token, valid for a day
    masc auth reset                       locked out: begin anew
    """


@auth.command(cls=MascCommand)
@click.option("--require-token", is_flag=True, help="Refuse every request without a token.")
@click.option("--admin", "admin_name", metavar="NAME", default="admin", show_default=True, help="Gets the admin token.")
@_as_file
@common
def enable(require_token: bool, admin_name: str, as_file: bool, project: str | None, as_json: bool) -> None:
    """Turn auth on; prints an admin token and the room secret, once.

    Where it is on already, only --require-token is taken over.
    """
    arguments = {"require_token": require_token, "admin_name": admin_name, "deliver": _deliver(as_file)}
    run(call_as_person(project, "masc_auth_enable", arguments, as_json))


@auth.command(cls=MascCommand)
@common
def disable(project: str | None, as_json: bool) -> None:
    """Turn auth off: everything is allowed again, and the room secret is void."""
    run(call_as_person(project, "masc_auth_disable", {}, as_json))


@auth.command(cls=MascCommand)
@common
def status(project: str | None, as_json: bool) -> None:
    """Show whether auth is on and how many credentials there are."""
    run(call_as_person(project, "masc_auth_status", {}, as_json))


@auth.command(cls=MascCommand)
@_name
@click.option("--role", type=click.Choice(["reader", "worker", "admin"]), default="worker", show_default=True)
@click.option("--hours", type=click.IntRange(1, 8760), help="Until it expires; by default auth.token_expiry_hours.")
@_as_file
@common
def token(name: str, role: str, hours: int | None, as_file: bool, project: str | None, as_json: bool) -> None:
    """Issue a token for agent NAME; an older one is void at once."""
    arguments = {"agent_name": name, "role": role, "expires_in_hours": hours, "deliver": _deliver(as_file)}
    run(call_as_person(project, "masc_auth_create_token", arguments, as_json))


@auth.command(cls=MascCommand)
@_name
@common
def revoke(name: str, project: str | None, as_json: bool) -> None:
    """Delete the credential of agent NAME."""
    run(call_as_person(project, "masc_auth_revoke", {"agent_name": name}, as_json))


@auth.command("list", cls=MascCommand)
@common
def list_(project: str | None, as_json: bool) -> None:
    """List who has a credential, its role and its expiry; never tokens."""
    run(call_as_person(project, "masc_auth_list", {}, as_json))


@auth.command(cls=MascCommand)
@click.option("--admin", "admin_name", metavar="NAME", default="admin", show_default=True, help="Gets the admin token.")
@_as_file
@common
def reset(admin_name: str, as_file: bool, project: str | None, as_json: bool) -> None:
    """Delete every credential; prints a new admin token and a new room secret. Auth is on afterwards."""
    from masc_plugin_auth.local import masc_auth_reset

    arguments = {"admin_name": admin_name, "deliver": _deliver(as_file)}
    run(call_as_person(project, masc_auth_reset, arguments, as_json))


@auth.command("rotate-secret", cls=MascCommand)
@_as_file
@common
def rotate_secret(as_file: bool, project: str | None, as_json: bool) -> None:
    """Replace the room secret; prints the new one. Tokens stay valid."""
    from masc_plugin_auth.local import masc_auth_rotate_secret

    run(call_as_person(project, masc_auth_rotate_secret, {"deliver": _deliver(as_file)}, as_json))
