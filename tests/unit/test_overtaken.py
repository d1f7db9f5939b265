"""Whether a message still waits for an answer, as the server's folders tell right before one is sent."""

import pytest
from memory_source import ANNA, ME, MemorySource, mail

from mailassist.config import Account, ServerSettings
from mailassist.intake.overtaken import overtaken
from mailassist.mail.addresses import OwnAddresses

ACCOUNT = Account(address=ME, imap=ServerSettings(host="127.0.0.1", port=143, security="none"))
ANSWERED = "somebody of yours has answered it already"


@pytest.mark.parametrize(("folder", "said"), [("Sent", ANSWERED), ("Archive", ANSWERED), ("INBOX", "")])
def test_what_came_in_from_an_own_address_is_nobodys_answer(folder: str, said: str) -> None:
    source = MemorySource()
    source.put("INBOX", mail("one", days=2))
    source.put(folder, mail("two", sender=ME, to=ANNA, answers="one", days=1))
    assert overtaken(source, ACCOUNT, OwnAddresses.of([(ME, [])]), "<one@test>", "Yes.") == said
