"""Paragraphs that a company's mail server adds: disclaimers at the end, banners about outsiders at the beginning."""

from __future__ import annotations

import re
from collections.abc import Sequence

_DISCLAIMER = re.compile(
    r"\W{0,6}(?:(?:confidentiality|confidential|legal|important|privacy|e-?mail)\s+(?:notice|note|disclaimer)\b|disclaimer\b|haftungsausschluss\b"
    r"|(?:this|the\s+information\s+(?:contained\s+|transmitted\s+)?(?:in|by)\s+this|the\s+contents?\s+of\s+this)"
    r"\s*(?:e-?mail|message|communication|transmission|electronic)?\b.{0,250}"
    r"(?:confidential|intended|privileged)"
    r"|(?:diese|der\s+inhalt\s+dieser|die\s+information\w*\s+in\s+dieser)\s+(?:e-?mail|nachricht|mail)\b.{0,250}(?:vertraulich|bestimmt)"
    r"|(?:ce|cet|les\s+informations\s+contenues\s+dans\s+ce)\s+(?:message|courriel|e-?mail|mail|courrier)\b.{0,250}(?:confidenti|destin)"
    r"|(?:este|el\s+contenido\s+de\s+este|la\s+información\s+contenida\s+en\s+este)\s+(?:correo|mensaje|e-?mail|mail)\b.{0,250}(?:confidencial|destin)"
    r"|(?:esta|o\s+conteúdo\s+desta|este)\s+(?:mensagem|e-?mail)\b.{0,250}(?:confidencia|destin)"
    r"|(?:questo|questa|le\s+informazioni\s+contenute\s+in\s+quest[oa])\s+(?:messaggio|e-?mail|comunicazione)\b.{0,250}(?:riservat|destin)"
    r"|(?:dit|de\s+informatie\s+in\s+dit)\s+(?:bericht|e-?mail)\b.{0,250}(?:vertrouwelijk|bestemd)"
    r"|(?:ta|niniejsza|informacje\s+zawarte\s+w\s+(?:tej|niniejszej))\s+(?:wiadomość|wiadomości|e-?mail)\b.{0,250}(?:poufn|przeznaczon)"
    r"|(?:detta|innehållet\s+i\s+detta)\s+(?:e-?postmeddelande|meddelande|mail)\b.{0,250}(?:konfidentiell|avsett)"
    r"|(?:denne|dette)\s+(?:e-?mail|e-?post|meddelelse|besked)\w*\b.{0,250}(?:fortrolig|beregnet|tiltenkt)"
    r"|(?:tämä|tämän)\s+(?:sähköposti|viesti|viestin)\w*\b.{0,250}(?:luottamuksel|tarkoitettu)"
    r"|(?:tato|tento|obsah)\s+(?:zpráva|e-?mail|této)\w*\b.{0,250}(?:důvěrn|určen)"
    r"|(?:это|данное|настоящее)\s+(?:сообщение|электронное|письмо)\b.{0,250}(?:конфиденциальн|предназначен)"
    r"|bu\s+(?:e-?posta|mesaj|ileti)\b.{0,250}(?:gizli|amaçlan)"
    r"|please\s+consider\s+the\s+environment\s+before|bitte\s+(?:denken\s+sie\s+an|prüfen\s+sie).{0,60}(?:umwelt|ausdruck))",
    re.DOTALL,
)  # of text in small letters: ignoring case costs four times as much
# A disclaimer says more than that a message is meant for something: a request may begin like one.
_SAYS_MORE = re.compile(
    r"unauthori[sz]ed|recipient|addressee|addressed|delete|notify|disclos|solely|privileged|consider\s+the\s+environment"
    r"|notice|disclaimer|haftungsausschluss|empfänger|adressat|gelöscht|löschen|unbefugt|umwelt|ausdruck|ausschließlich"
    r"|destinataire|supprim|détrui|non\s+autoris|destinatari|elimin|borr|notifi|divulg|apag|cancell|distrugg|esclusiv"
    r"|exclusiv|uniquement|geadresseerde|ontvanger|verwijder|uitsluitend|adresat|usunię|usunąć|mottagar|radera|modtager|mottaker|slet|vastaanottaj|poista"
    r"|příjemc|smaž|adresát|получател|адресат|удал|alıcı|siliniz",
    re.IGNORECASE,
)
_ASKS = re.compile(r"[?？]")
_BANNER = re.compile(
    r"\W{0,6}(?:(?:external|externe?r?|extern)\s*(?:e-?mail|message|sender|mail|absender|nachricht)?\W{0,4}$"
    r"|(?:caution|warning|attention|alert|notice|external(?:\s+(?:e-?mail|sender|message))?|be\s+careful|think\s+before\s+you\s+click|achtung|vorsicht|warnung|hinweis"
    r"|externe\s+e-?mail|prudence|avertissement|atención|advertencia|precaución|precaução|atenção|cuidado|attenzione|avviso|let\s+op|waarschuwing|uwaga"
    r"|varning|obs|advarsel|huomio|varoitus|pozor|upozornění|внимание|осторожно|dikkat|uyarı|προσοχή|注意|警告|주의)\b.{0,120}?"
    r"(?:external|outside|extern|außerhalb|exteri?or|externo|esterno|extérieur|fuera\s+de|fora\s+da|buiten|zewn|utanför|uden\s?for|utenfor|ulkopuol|vnější|externí|внешн|dış|kurum\s+dış|εξωτερικ|外部|외부)"
    r"|(?:this|the)\s+(?:e-?mail|message)\s+(?:originated|was\s+sent|came|comes|is|has\s+been\s+sent)\s+from\s+(?:an?\s+)?(?:external|outside)"
    r"|diese\s+(?:e-?mail|nachricht)\s+(?:kommt|stammt|wurde)\s+von\s+(?:extern|außerhalb|einem\s+externen)"
    r"|you\s+don['’]t\s+often\s+get\s+e-?mail\s+from\b|some\s+people\s+who\s+received\s+this\s+message\s+don['’]t\s+often\s+get"
    r"|sie\s+erhalten\s+nicht\s+(?:häufig|oft)\s+e-?mails?\s+von\b|vous\s+n['’]obtenez\s+pas\s+souvent)",
    re.IGNORECASE | re.DOTALL,
)
_BANNER_SAYS = re.compile(
    r"click|\blinks?\b|attachment|\bsender|organi[sz]ation|learn\s+why|anh[aä]ng|anhänge|öffnen|absender|klicken|klick|organisation|lien|pièce|expéditeur|cliqu"
    r"|enlace|adjunto|remitente|clic|anexo|allegat|mittente|bijlage|afzender|załącznik|nadawc|bilag|avsändar|afsender|liite|lähettäj|příloh|odesílatel"
    r"|вложени|ссылк|отправител|ek(?:ler)?i|gönderen|συνημμέν|添付|附件|첨부|warum\s+dies|découvrir",
    re.IGNORECASE,
)
_MAIL = re.compile(
    r"mail|message|sender|nachricht|absender|courriel|expéditeur|correo|mensaje|remitente|mensagem|messaggio|mittente"
    r"|bericht|afzender|wiadomoś|nadawc|meddel|besked|avsändar|afsender|viesti|zpráv|сообщени|письм|ileti|posta|μήνυμα|邮件|郵件|メール|메일",
    re.IGNORECASE,
)
_TAG = re.compile(
    r"\W{0,6}(?:external|extern|externe|ext)(?:\s+(?:e-?mail|sender|message|mail))?\W{0,6}", re.IGNORECASE
)
_RULE = re.compile(r"\s*[-_*=#~]{3,}\s*")
_MAY_BE_BANNER = re.compile(  # a cheap first look
    r"\W{0,6}(?:ext|cau|war|att|ale|not|be\b|think|ach|vor|hin|pru|ave|ate|adv|pre|cui|avv|let|waa|uwa|var|obs|huo|poz|upo"
    r"|вни|осто|dik|uya|προ|注|警|주|th[ei]|die|you|som|sie|vou)"
)
_MOST_OF_FIRST_LOOK = 11  # characters that it looks at
_BANNERS = 3
_LONGEST = 900


def is_disclaimer(paragraph: str) -> bool:
    """Whether a last paragraph is boilerplate; never one that asks something."""
    return bool(
        _DISCLAIMER.match(paragraph[:600].lower()) and _SAYS_MORE.search(paragraph) and not _ASKS.search(paragraph)
    )


def is_banner(paragraph: str) -> bool:
    """Whether a first paragraph is a mail server's warning about mail from outside."""
    if (
        _MAY_BE_BANNER.match(paragraph[:_MOST_OF_FIRST_LOOK].lower()) is None
        or len(paragraph) > _LONGEST
        or _ASKS.search(paragraph.replace("/?", ""))
    ):
        return False
    if _TAG.fullmatch(paragraph):
        return not paragraph.strip()[0].isalnum() or paragraph.isupper()
    if _BANNER.match(paragraph) is None or _BANNER_SAYS.search(paragraph) is None:
        return False
    return _MAIL.search(paragraph) is not None


def leading(lines: Sequence[str], start: int, end: int) -> int:
    """Where, in `lines[start:end]`, the banners at its beginning end (`start` if there are none)."""
    kept = start
    number = start
    for _ in range(_BANNERS):
        while number < end and (not lines[number].strip() or _RULE.fullmatch(lines[number])):
            number += 1
        first = number
        if first == end:
            return kept
        head = lines[first][:_MOST_OF_FIRST_LOOK]
        if len(head) == _MOST_OF_FIRST_LOOK and _MAY_BE_BANNER.match(head.lower()) is None:
            return kept
        while number < end and number - first < 12 and lines[number].strip() and not _RULE.fullmatch(lines[number]):
            number += 1
        paragraph = " ".join(lines[first:number])
        if first < number and is_banner(paragraph):
            kept = number
        elif first < number and is_banner(lines[first]):  # the text goes on right below
            return first + 1
        else:
            return kept
        if number < end and _RULE.fullmatch(lines[number]):
            kept = number = number + 1
    return kept
