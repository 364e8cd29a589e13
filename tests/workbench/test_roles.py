"""Who may act: by an address or a claim; where nobody signs in, everybody."""

from __future__ import annotations

import pytest

from attribution.workbench import roles


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"operator": ["a@b.c"]}, "choose among claim, granting, operators"),
        ({"operators": "a@b.c"}, "write a list of texts"),
        ({"claim": ["groups"]}, "write the name of one claim"),
        ({"claim": "groups"}, "claim and granting belong together"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(section, told):
    with pytest.raises(ValueError, match=told):
        roles.roles(section)


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"email": None},
        {"email": "anna@example.com@evil.org"},
        {"email": "anna@example.com", "email_verified": "false"},
        {"email": "x@sub.ops.example.com"},
        {"groups": "controllers"},
        {"groups": [["control"]]},
    ],
)
def test_who_is_not_named_is_a_viewer(claims):
    who = roles.Roles(operators=("anna@example.com", "@ops.example.com"), claim="groups", granting=("control",))
    assert not roles.operates(claims, who)
    assert not roles.operates(claims, roles.Roles())


@pytest.mark.parametrize(
    ("claims", "section", "told"),
    [
        (None, {}, ""),
        ({"is_logged_in": True, "email": "a@b.c"}, {}, "names no operator"),
        ({"is_logged_in": True, "email": "a@b.c"}, {"operators": ["a@b.c"]}, ""),
        ({"is_logged_in": False, "email": "a@b.c"}, {"operators": ["a@b.c"]}, "viewer"),
        ({"is_logged_in": True, "email": "x@b.c"}, {"operators": ["a@b.c"]}, "viewer"),
        ({"is_logged_in": True, "email": "a@b.c"}, {"operators": "a@b.c"}, "write a list of texts"),
    ],
)
def test_where_nobody_signs_in_everybody_acts_and_else_only_who_is_named(monkeypatch, claims, section, told):
    monkeypatch.setattr(roles, "identity", lambda: claims)
    monkeypatch.setattr(roles.st, "secrets", {"roles": section})
    why = roles.barred()
    assert (why == "") == (told == "")
    assert told in why
