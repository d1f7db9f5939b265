"""Lines at the end of a body that its author did not type: client advertising, list footers, disclaimers."""

from __future__ import annotations

import re
from collections.abc import Sequence

_DEVICE = (
    r"(?:iphone|ipad|ipod|android|samsung|galaxy|huawei|xiaomi|pixel|oneplus|nokia|sony|xperia|motorola|htc|lg|blackberry"
    r"|windows|outlook|yahoo|gmail|proton\s?mail|protonmail|mail|e-?mail|aol|gmx|web\.de|k-9|thunderbird|fairemail|mobil\w*"
    r"|smartphone|handy|phone|telefon\w*|tel[ée]f\w*|tablet|mac|macbook|apple\s+watch|vodafone|t-mobile|orange|verizon|at&t)"
)
# "Sent from my ..." as programs write it, by language; the device stands before or after the verb.
_SENT = re.compile(
    r"(?:sent\s+(?:from|via|with|using|by)|gesendet\s+(?:von|mit|über)|von\s+\S.{0,40}\sgesendet|versendet\s+mit"
    r"|diese\s+nachricht\s+wurde\s+von\s+.{0,60}gesendet|envoyé\s+(?:de|depuis|à\s+partir|avec|via)|enviado\s+(?:desde|de|do|da|a\s+partir|via|com|con|por)"
    r"|inviato\s+(?:da|dal|dalla|con|tramite)|verzonden\s+(?:vanaf|met|via|vanuit)|verstuurd\s+(?:vanaf|met|via|vanuit)"
    r"|wysłan[eoy]\s+(?:z|za\s+pomocą|przez)|skickat\s+(?:från|med|via)|skickades\s+från|sendt\s+(?:fra|med|via)"
    r"|lähetetty\s+\S+|odesláno\s+(?:z|ze|pomocí)|отправлено\s+(?:с|из|от|через)|послано\s+с|στάλθηκε\s+από|εστάλη\s+από"
    r"|trimis\s+(?:de\s+pe|din)|elküldve|надіслано\s+з|发自|來自我的|傳送自|从我的|從我的|أرسلت?\s+من|مرسل\s+من|נשלח\s+מ)"
    r"|(?:から送信|에서\s*(?:보냄|보낸)|(?:um|ım|im|üm|m)?dan\s+gönderildi|den\s+gönderildi|发送|傳送)$",
    re.IGNORECASE,
)
_OFFER = re.compile(
    r"(?:get|download)\s+(?:outlook|bluemail|the\s+.{0,30}app)\b.{0,60}|(?:outlook\s+(?:für|para|pour|per|voor|for|для)\s+.{0,40})"
    r"|(?:obtenir|obtenez|télécharger|obtener|descargar|obter|baixar|scarica|ottieni|download|pobierz|hämta|hent|hanki|holen\s+sie\s+sich|laden\s+sie)\s+outlook\b.{0,60}"
    r"|outlook\s+.{0,40}\s(?:herunterladen|beziehen|downloaden|indir)|virus-?free\.?.{0,60}|.{0,20}virenfrei\.?.{0,60}"
    r"|(?:this\s+e-?mail\s+has\s+been\s+checked\s+for\s+viruses|diese\s+e-?mail\s+wurde\s+von\s+avast).{0,80}"
    r"|(?:do\s+you\s+yahoo!\?|yahoo!?\s+mail\s+.{0,60}app).{0,40}",
    re.IGNORECASE,
)
_ENDING = re.compile(r"[.!?,;:]\s*$")
_KNOWN_DEVICE = re.compile(_DEVICE, re.IGNORECASE)
_DISCLAIMER = re.compile(
    r"\W{0,6}(?:(?:confidentiality|confidential|legal|important|privacy)\s+(?:notice|note|disclaimer)\b|disclaimer\b|haftungsausschluss\b"
    r"|(?:this|the\s+information\s+(?:contained\s+)?in\s+this|the\s+contents?\s+of\s+this)\s+(?:e-?mail|message|communication|transmission)\b.{0,250}"
    r"(?:confidential|intended|privileged)"
    r"|(?:diese|der\s+inhalt\s+dieser)\s+(?:e-?mail|nachricht|mail)\b.{0,250}(?:vertraulich|bestimmt)"
    r"|(?:ce|cet|les\s+informations\s+contenues\s+dans\s+ce)\s+(?:message|courriel|e-?mail|mail|courrier)\b.{0,250}(?:confidenti|destin)"
    r"|(?:este|el\s+contenido\s+de\s+este)\s+(?:correo|mensaje|e-?mail|mail)\b.{0,250}(?:confidencial|destin)"
    r"|(?:esta|o\s+conteúdo\s+desta)\s+(?:mensagem|e-?mail)\b.{0,250}(?:confidencia|destin)"
    r"|(?:questo|questa|le\s+informazioni\s+contenute\s+in\s+quest[oa])\s+(?:messaggio|e-?mail|comunicazione)\b.{0,250}(?:riservat|destin)"
    r"|(?:dit|de\s+informatie\s+in\s+dit)\s+(?:bericht|e-?mail)\b.{0,250}(?:vertrouwelijk|bestemd)"
    r"|please\s+consider\s+the\s+environment\s+before|bitte\s+(?:denken\s+sie\s+an|prüfen\s+sie).{0,60}(?:umwelt|ausdruck))",
    re.IGNORECASE | re.DOTALL,
)
# A disclaimer says more than that a message is meant for something: a request may begin like one.
_SAYS_MORE = re.compile(
    r"unauthori[sz]ed|recipient|addressee|addressed|delete|notify|disclos|solely|privileged|consider\s+the\s+environment"
    r"|notice|disclaimer|haftungsausschluss|empfänger|adressat|gelöscht|löschen|unbefugt|umwelt|ausdruck|ausschließlich"
    r"|destinataire|supprim|détrui|non\s+autoris|destinatari|elimin|borr|notifi|divulg|apag|cancell|distrugg|esclusiv"
    r"|exclusiv|uniquement|geadresseerde|ontvanger|verwijder|uitsluitend",
    re.IGNORECASE,
)
_ASKS = re.compile(r"[?？]")
_LIST_WORDS = re.compile(
    r"mailing[\s-]?list|mailman|listinfo|unsubscribe|to\s+post\s+to\s+this|groups\.google\.com|abmelden|désabonner|list\s+archives",
    re.IGNORECASE,
)
_MOST_CLOSING = 12  # lines and paragraphs taken off an end
_LINE = re.compile(r"\s*[_\-=*]{8,}\s*")


def is_advertising(line: str) -> bool:
    """Whether a line on its own was put there by the mail program ("Von meinem iPhone gesendet")."""
    line = line.strip().strip("*_-–—<>[]()").strip()
    if not 6 <= len(line) <= 160:
        return False
    if _OFFER.fullmatch(line):
        return True
    match = _SENT.search(line)
    if match is None or (match.start() != 0 and match.end() != len(line)):
        return False
    if _KNOWN_DEVICE.search(line):
        return len(line) < 100 and not re.search(r"[,;!?]", line)
    by_somebody = line.lower().startswith(("sent by ", "sent with ", "sent using "))  # "Sent by courier yesterday"
    return len(line) < 60 and not by_somebody and not _ENDING.search(line) and "," not in line


def trailing(lines: Sequence[str], start: int, end: int) -> int:
    """Where, in `lines[start:end]`, the advertising and disclaimers at its end begin (`end` if there are none)."""
    for _ in range(_MOST_CLOSING):
        last = end
        while last > start and not lines[last - 1].strip():
            last -= 1
        if last == start:
            return end
        if is_advertising(lines[last - 1]):
            end = last - 1
            continue
        if last - 1 > start and _wrapped_advertising(lines[last - 2], lines[last - 1]):
            end = last - 2
            continue
        first = last - 1
        while first > start and lines[first - 1].strip() and last - first < 60:
            first -= 1
        if first > start and _is_disclaimer(" ".join(lines[first:last])):
            end = first
            continue
        return end
    return end


def _is_disclaimer(paragraph: str) -> bool:
    """Whether a last paragraph is boilerplate; never one that asks something."""
    return bool(_DISCLAIMER.match(paragraph[:600]) and _SAYS_MORE.search(paragraph) and not _ASKS.search(paragraph))


def _wrapped_advertising(first: str, second: str) -> bool:
    return (
        len(first) + len(second) < 110
        and _SENT.match(first.strip()) is not None
        and is_advertising(f"{first} {second}")
    )


def list_footer(lines: Sequence[str]) -> int:
    """Where a mailing list's footer begins: a rule and up to eight lines about the list, at the very end."""
    end = len(lines)
    while end > 0 and not lines[end - 1].strip():
        end -= 1
    for number in range(end - 1, max(end - 9, -1), -1):
        if _LINE.fullmatch(lines[number]) and _LIST_WORDS.search("\n".join(lines[number + 1 : end])):
            return number
    return len(lines)
