"""How many connections of a mailbox may be ours: people's own mail programs need theirs."""

from __future__ import annotations

from mailassist.transport.autoconfig import connection_limit


def budget(host: str) -> int:
    """How many connections to `host` one account's mailbox may have open here, the one that watches it included.

    At most half of what the provider allows, half-open ones among them; at least one.
    """
    return max(1, connection_limit(host) // 2)
