"""Who is at the other end of a Unix socket, as the kernel says it, and what they may do."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Sequence

from mailassist.errors import ConfigError
from mailassist.team.queue import NotAllowed, Role
from mailassist.team_settings import TeamRoles

_UCRED = struct.Struct("3i")  # pid, uid, gid: struct ucred of unix(7)
_NOBODY = 65534  # what a user of another namespace looks like from here


def peer_uid(connection: socket.socket) -> int:
    """The user who connected: SO_PEERCRED of unix(7), which the other side cannot choose.

    Raises ConfigError where the system has none, OSError.
    """
    if sys.platform != "linux":
        raise ConfigError("Only Linux says who connects to a Unix socket", cure="Reach the queue through PostgreSQL.")
    _pid, uid, _gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)


def person(uid: int, roles: TeamRoles) -> tuple[str, Role]:
    """The name of the user `uid`, and the highest role that they have, directly or by a group. Raises NotAllowed."""
    import pwd

    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        raise _stranger(f"user {uid}") from None
    if uid != _NOBODY:
        for role, named in ((Role.APPROVE, roles.approve), (Role.DRAFT, roles.draft), (Role.SEE, roles.see)):
            if user.pw_name in named or _in_group(user.pw_name, user.pw_gid, named):
                return user.pw_name, role
    raise _stranger(user.pw_name)


def _in_group(name: str, gid: int, named: Sequence[str]) -> bool:
    """Whether the user is in one of the groups in `named`; a group that the system does not know has no members."""
    import grp
    import os

    groups = [one[1:] for one in named if one.startswith("@")]
    mine = set(os.getgrouplist(name, gid)) if groups else set()
    for group in groups:
        try:
            if grp.getgrnam(group).gr_gid in mine:
                return True
        except KeyError:
            continue
    return False


def _stranger(name: str) -> NotAllowed:
    return NotAllowed(f"{name} has no role in this team", cure="Whoever runs the daemon can add one to [team.roles].")
