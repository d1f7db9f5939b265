"""Every way in which mailassist fails on purpose: one line for the person, with the cure, and an exit code.

The command line and the terminal UI show an error in the same way: `str(error)`, sanitised, on one line.
Exit codes are part of the interface (docs/CLI.md lists them); 1 is a bug, 2 a wrong command line.
"""

from collections.abc import Sequence
from typing import ClassVar


class MailassistError(Exception):
    """Something went wrong that mailassist has a name for."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str = "", *, cure: str = "") -> None:
        """`message`: what went wrong, with the name of the thing; `cure`: what the person can do about it."""
        self.message = message or (type(self).__doc__ or "").split("\n")[0]
        self.cure = cure
        super().__init__(self.message)

    def __str__(self) -> str:
        """One line: what went wrong, then what to do."""
        return f"{self.message.rstrip('.')}. {self.cure}" if self.cure else self.message


class ConfigError(MailassistError):
    """The configuration is missing or wrong.

    `mistakes`: one line for each of several that were found in a file.
    """

    exit_code = 3

    def __init__(self, message: str = "", *, cure: str = "", mistakes: Sequence[str] = ()) -> None:
        """See the class."""
        super().__init__(message or "; ".join(mistakes), cure=cure)
        self.mistakes = tuple(mistakes) or (str(self),)


class SecretError(MailassistError):
    """A password, token or key could not be found or read."""

    exit_code = 4


class LoginError(MailassistError):
    """The server refused the login."""

    exit_code = 5


class ConnectionFailed(MailassistError):
    """A server could not be reached, or the connection broke."""

    exit_code = 6


class CertificateError(ConnectionFailed):
    """The server's TLS certificate could not be verified."""


class MailboxError(MailassistError):
    """The mail server refused a command, or a folder or message is not there."""

    exit_code = 7


class CannotStore(MailboxError):
    """The folder takes no message, whichever it is: it is full, read-only, or not there; or the server is unwell."""


class ModelError(MailassistError):
    """The model gave no whole answer."""

    exit_code = 8


class BudgetReached(MailassistError):
    """Today's budget does not allow the next call; it was not made."""

    exit_code = 9


class NotDraftable(MailassistError):
    """This message cannot be answered by a draft (too complex, encrypted, or nobody to answer)."""

    exit_code = 10


class StoreError(MailassistError):
    """The local store could not be read or written."""

    exit_code = 11


class DeliveryError(MailassistError):
    """The reply was not delivered; it is kept."""

    exit_code = 12


class DeliveryRefused(DeliveryError):
    """The mail server refused the reply; it was not sent and is kept.

    `temporary`: trying again later may help (4xx); `recipients`: the addresses that were refused, if it was they.
    """

    def __init__(
        self, message: str = "", *, cure: str = "", temporary: bool = False, recipients: tuple[str, ...] = ()
    ) -> None:
        """See the class."""
        super().__init__(message, cure=cure)
        self.temporary = temporary
        self.recipients = recipients


class DeliveryUnknown(DeliveryError):
    """Nobody can tell whether the server took the reply; it is kept and not sent again by itself."""

    exit_code = 13


class NothingWaiting(MailassistError):
    """No conversation waits for an answer."""

    exit_code = 14


class InputError(MailassistError):
    """A file or an argument is not what it should be."""

    exit_code = 15


class OutputFailed(MailassistError):
    """What was asked for could not be written to standard output, or a message to standard error.

    `reader_left`: whoever read it has closed it, which is no failure of ours.
    """

    exit_code = 16

    def __init__(self, message: str = "", *, cure: str = "", reader_left: bool = False) -> None:
        """See the class."""
        super().__init__(message, cure=cure)
        self.reader_left = reader_left


class NotAllowed(MailassistError):
    """The role of this person does not allow that."""

    exit_code = 17


class Taken(MailassistError):
    """Somebody else has claimed this conversation."""

    exit_code = 18


class Stopped(MailassistError):
    """The approval was stopped: the conversation has changed since."""

    exit_code = 18


class AuditBroken(MailassistError):
    """The audit trail is not whole: an entry is missing, changed or out of order."""

    exit_code = 19
