"""Signing in: a browser gives a key once and gets a cookie, so that no key has to stand in an address or lie in its storage."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

from fastapi import Body, Request, Response

from tsir.api.door import SESSION_S, Session
from tsir.api.entrance import prefix_of
from tsir.api.guard import Caller, caller_of, door_of, given_key, is_https
from tsir.api.routes import group
from tsir.api.schemas import SessionOut, SignIn

router = group("session", "/api/v1/session")


@router.post("")
async def sign_in(request: Request, response: Response, body: Annotated[SignIn | None, Body()] = None) -> SessionOut:
    """Give a key, in the body or as for any request, and get a cookie that stands for it: for thirty days, or until the server starts
    again. Pages of other sites cannot use it, and scripts cannot read it. A server without keys answers what everybody may do.
    """
    door = door_of(request.scope)
    response.headers["Cache-Control"] = "no-store"
    if not door.locked:
        return SessionOut(scope="write", by="nothing")
    token, session = door.sign_in(body.key if body is not None else given_key(request.scope))
    response.set_cookie(
        door.cookie,
        token,
        max_age=SESSION_S,
        path=f"{prefix_of(request.scope)}/",
        secure=is_https(request.scope),
        httponly=True,
        samesite="strict",
    )
    return _shown(Caller(session.writes, "cookie", session))


@router.get("")
async def read_session(request: Request, response: Response) -> SessionOut:
    """What this caller may do, and by what."""
    response.headers["Cache-Control"] = "no-store"
    return _shown(caller_of(request.scope))


@router.delete("", status_code=204)
async def sign_out(request: Request, response: Response) -> None:
    """End the session of the cookie, here and in the browser. There need not be one."""
    door = door_of(request.scope)
    door.sign_out(door.token(request.headers.get("cookie", "")))
    response.delete_cookie(door.cookie, path=f"{prefix_of(request.scope)}/", httponly=True, samesite="strict")


def _shown(caller: Caller) -> SessionOut:
    session: Session | None = caller.session
    until = datetime.fromtimestamp(int(session.expires), timezone.utc) if session else None
    return SessionOut(scope="write" if caller.writes else "read", by=caller.by, expires_at=until)
