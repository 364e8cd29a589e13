"""Who looks, and what they may do: with sign-in, viewers see everything, and operators lock plans and acknowledge."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st

if TYPE_CHECKING:
    from collections.abc import Mapping

SECTION = "roles"
"""Its place in ``.streamlit/secrets.toml``, beside ``[auth]``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Who is an operator; everybody else who signed in is a viewer.

    Attributes
    ----------
    operators
        E-mail addresses, or ``@example.com`` for everybody there.
    claim, granting
        A claim of the identity, and its values that make an operator.
    """

    operators: tuple[str, ...] = ()
    claim: str = ""
    granting: tuple[str, ...] = ()


def roles(section: Mapping[str, Any]) -> Roles:
    """Read who is an operator.

    Raises
    ------
    ValueError
        When a name is unknown, or a value is not what it should be.

    Examples
    --------
    >>> roles({"operators": ["anna@example.com"]}).operators
    ('anna@example.com',)
    """
    known = {"operators", "claim", "granting"}
    for name, value in section.items():
        if name not in known:
            raise ValueError(f"[{SECTION}] names {name!r}; choose among {', '.join(sorted(known))}")
        if name == "claim" and not isinstance(value, str):
            raise ValueError(f"[{SECTION}] claim is {value!r}; write the name of one claim")
        if name != "claim" and not (isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value)):
            raise ValueError(f"[{SECTION}] {name} is {value!r}; write a list of texts")
    if bool(section.get("claim")) != bool(section.get("granting")):
        raise ValueError(f"[{SECTION}] claim and granting belong together; write both or neither")
    operators, granting = (tuple(section.get(name, ())) for name in ("operators", "granting"))
    return Roles(operators=operators, claim=section.get("claim", ""), granting=granting)


def operates(claims: Mapping[str, Any], who: Roles) -> bool:
    """Whether an identity is an operator: by an address that its provider does not call unverified, or by a claim.

    Examples
    --------
    >>> who = Roles(operators=("anna@example.com", "@ops.example.com"), claim="groups", granting=("control",))
    >>> operates({"email": "Anna@example.com"}, who), operates({"email": "b@ops.example.com"}, who)
    (True, True)
    >>> operates({"email": "b@evil-ops.example.com"}, who), operates({"groups": ["x", "control"]}, who)
    (False, True)
    >>> operates({"email": "anna@example.com", "email_verified": False}, who)
    False
    """
    mail = str(claims.get("email") or "").casefold()
    sure = str(claims.get("email_verified", True)).casefold() not in {"false", "0", "none"}
    if sure and mail.count("@") == 1:
        named = {one.casefold() for one in who.operators}
        if mail in named or "@" + mail.partition("@")[2] in named:
            return True
    held = claims.get(who.claim) if who.claim else None
    values = held if isinstance(held, (list, tuple)) else [held]
    return any(isinstance(value, str) and value in who.granting for value in values)


def identity() -> dict[str, Any] | None:
    """Return what is known of who looks; None where nobody has to sign in."""
    claims = st.user.to_dict()
    return claims if "is_logged_in" in claims else None


def barred() -> str:
    """Say why this session may not lock or acknowledge; empty where it may. Without sign-in everybody may."""
    claims = identity()
    if claims is None:
        return ""
    try:
        who = roles(st.secrets.get(SECTION, {}))
    except ValueError as error:
        return f"Nobody may lock or acknowledge: {error}."
    if claims.get("is_logged_in") and operates(claims, who):
        return ""
    if who == Roles():
        return f"Nobody may lock or acknowledge: [{SECTION}] in secrets.toml names no operator."
    return "You look as a viewer: locking a plan and acknowledging are for operators."


def enter() -> None:
    """Ask for sign-in where it is configured, and end the run until then; beside the navigation, say who looks."""
    claims = identity()
    if claims is None:
        return
    if not claims.get("is_logged_in"):
        with st.container(key="panel-signin"):
            st.html('<div class="ec"><h2>Sign in</h2><p class="lead">These pages are for those who sign in.</p></div>')
            st.button("Sign in", key="signin", type="primary", on_click=st.login)
        st.stop()
    name = str(claims.get("email") or claims.get("name") or claims.get("sub") or "somebody")
    role = "viewer" if barred() else "operator"
    with st.container(key="who", horizontal=True, gap="small", horizontal_alignment="right"):
        st.html(f'<div class="ec under">{escape(name)} · <b>{role}</b></div>', width="content")
        st.button("Sign out", key="signout", on_click=st.logout)
