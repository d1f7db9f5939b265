import pytest

from mailassist.config import FolderSettings
from mailassist.transport.folders import Listed, assign_roles, find, holding_conversations
from mailassist.transport.source import Role

NONE = FolderSettings()


def listed(*names: str, **attributes: str) -> list[Listed]:
    return [Listed(name, "/", frozenset(attributes.get(name.split("/")[0].lower(), "").split())) for name in names]


@pytest.mark.parametrize(
    ("sent", "drafts", "trash"),
    [
        ("Gesendet", "Entwürfe", "Papierkorb"), ("Éléments envoyés", "Brouillons", "Corbeille"),
        ("Enviados", "Borradores", "Papelera"), ("Posta inviata", "Bozze", "Cestino"),
        ("Itens Enviados", "Rascunhos", "Lixeira"), ("Verzonden items", "Concepten", "Prullenbak"),
        ("Elementy wysłane", "Kopie robocze", "Kosz"), ("Skickat", "Utkast", "Papperskorgen"),
        ("Sendt post", "Kladder", "Slettet post"), ("Lähetetyt", "Luonnokset", "Roskakori"),
        ("Odeslaná pošta", "Koncepty", "Koš"), ("Отправленные", "Черновики", "Корзина"),
        ("Gönderilmiş Öğeler", "Taslaklar", "Silinmiş Öğeler"), ("送信済みトレイ", "下書き", "ごみ箱"),
        ("已发送", "草稿箱", "已删除"), ("보낸편지함", "임시보관함", "휴지통"),
        ("Sent Messages", "Drafts", "Deleted Messages"),
        ("INBOX/Sent Items", "INBOX/Drafts", "INBOX/Trash"),
    ],
)  # fmt: skip
def test_folders_are_found_by_name_in_many_languages(sent: str, drafts: str, trash: str) -> None:
    found = assign_roles(listed("INBOX", "Projekte", sent, drafts, trash), NONE)
    assert [find(found, role) for role in (Role.INBOX, Role.SENT, Role.DRAFTS, Role.TRASH)] == [
        "INBOX", sent, drafts, trash,
    ]  # fmt: skip
    assert find(found, Role.ARCHIVE) == ""


def test_attributes_win_over_names_and_the_configuration_over_both() -> None:
    lines = [
        Listed("Sent", "/", frozenset()),
        Listed("Versandt", "/", frozenset({"\\Sent", "\\HasNoChildren"})),
        Listed("Mine", "/", frozenset()),
    ]
    assert find(assign_roles(lines, NONE), Role.SENT) == "Versandt"
    assert find(assign_roles(lines, FolderSettings(sent="Mine")), Role.SENT) == "Mine"


def test_xlist_attributes_are_known() -> None:
    lines = [Listed("[Gmail]/Alle", "/", frozenset({"\\AllMail"})), Listed("[Gmail]/S", "/", frozenset({"\\Spam"}))]
    found = assign_roles(lines, NONE)
    assert (find(found, Role.ALL), find(found, Role.JUNK)) == ("[Gmail]/Alle", "[Gmail]/S")


def test_a_name_below_a_folder_of_the_users_own_says_nothing() -> None:
    found = assign_roles(listed("INBOX", "Customers/Archive", "Customers/Sent"), NONE)
    assert find(found, Role.ARCHIVE) == find(found, Role.SENT) == ""


def test_a_folder_that_cannot_be_opened_has_no_role() -> None:
    found = assign_roles([Listed("Sent", "/", frozenset({"\\Noselect"}))], NONE)
    assert find(found, Role.SENT) == "" and not found[0].selectable


def test_conversations_are_looked_for_where_they_live() -> None:
    found = assign_roles(listed("INBOX", "Sent", "Archive", "Drafts", "Trash", "Junk", "Shop", "Old"), NONE)
    assert holding_conversations(found, NONE) == ["INBOX", "Sent", "Archive"]
    assert holding_conversations(found, FolderSettings(also=["Shop"], skip=["Archive"])) == ["INBOX", "Sent", "Shop"]


def test_a_configured_name_that_no_folder_has_does_not_hide_the_real_one() -> None:
    found = assign_roles(listed("INBOX", "Gesendet"), FolderSettings(sent="Sentt"))
    assert find(found, Role.SENT) == "Gesendet"
