"""What only tokens can go wrong with."""

from __future__ import annotations

from masc_core import Refused, error

__all__ = ["AuthDisabled", "BindRequiresAuth", "CredentialNotFound", "LastAdmin"]


@error
class AuthDisabled(Refused):
    code = "auth_disabled"
    text = "auth is off in this room, so there are no tokens to issue; masc_auth_enable turns it on"


@error
class BindRequiresAuth(Refused):
    code = "bind_requires_auth"
    text = (
        "a server of this room listens on {host}, which other machines reach, so require_token stays on; stop it first"
    )
    host: str


@error
class LastAdmin(Refused):
    code = "last_admin"
    text = "{agent} has the last admin credential that works; make another admin first"
    agent: str


@error
class CredentialNotFound(Refused):
    code = "credential_not_found"
    http = 404
    text = "{agent} has no credential; masc_auth_list shows who has one"
    agent: str
