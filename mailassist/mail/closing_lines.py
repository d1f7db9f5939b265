"""Lines at the ends of a body that its author did not type: client advertising and list footers.

Disclaimers and banners are in `disclaimers`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mailassist.mail.disclaimers import is_disclaimer
from mailassist.mail.message import BlockKind

_DEVICE = (
    r"(?:i-?phon\w*|i-?pad\w*|i-?pod|android|samsung|galaxy|huawei|xiaomi|redmi|pixel|oneplus|nokia|sony|xperia|motorola|moto|droid|htc|lg|blackberry"
    r"|windows|outlook|yahoo!?|gmail|googlemail|proton\s?mail|protonmail|tutanota|tuta|mail|e-?mail|aol|gmx|web\.de|k-9|thunderbird|fairemail"
    r"|mailspring|mailbird|airmail|bluemail|typemail|typeapp|superhuman|spark|newton|mailbox|sparrow|polymail|postbox|nine|aqua\s*mail|mymail"
    r"|zoho|fastmail|hey|evolution|mobil\w*|smart-?phone|handy|handset|phone|telefon\w*|tel[ée]f\w*|téléphone|tablet\w*|mac|macbook|apple\s+watch"
    r"|vodafone|t-mobile|orange|verizon|at&t|sprint|movistar|telcel|rogers|bell|telus|xfinity|device|dispositivo|appareil|gerät|apparat"
    r"|айфон\w*|телефон\w*|смартфон\w*|手机|スマートフォン|携帯)"
)
# These are matched with text in small letters: ignoring case would cost four times as much.
# "Sent from my ..." as programs write it, by language; the device stands before or after the verb.
_SENT = re.compile(
    r"(?:sent\s+(?:from|via|with|using|by|on)|gesendet\s+(?:von|mit|über|aus)|(?:von|mit|aus)\s+\S.{0,50}\s(?:gesendet|versendet|geschrieben)"
    r"|versendet\s+mit|diese\s+(?:nachricht|mail|e-?mail)\s+wurde\s+(?:von|mit)\s+.{0,60}(?:gesendet|versendet)"
    r"|envoyé\s+(?:de|depuis|à\s+partir|avec|via)|enviado\s+(?:desde|de|do|da|a\s+partir|via|com|con|por|através)"
    r"|inviato\s+(?:da|dal|dalla|con|tramite)|verzonden\s+(?:vanaf|met|via|vanuit|met)|verstuurd\s+(?:vanaf|met|via|vanuit)"
    r"|wysłan[eoy]\s+(?:z|ze|za\s+pomocą|przez)|skickat\s+(?:från|med|via)|skickades\s+från|sendt\s+(?:fra|med|via)"
    r"|lähetetty\s+\S+|odesláno\s+(?:z|ze|pomocí)|odoslané\s+(?:z|zo)|отправлено\s+(?:с|со|из|от|через)|послано\s+с"
    r"|στάλθηκε\s+(?:από|με|μέσω)|εστάλη\s+από|отправлено\s+с"
    r"|trimis\s+(?:de\s+pe|din)|elküldve|надіслано\s+(?:з|із)|poslano\s+(?:s|z|iz)|enviat\s+des|dikirim\s+dari|được\s+gửi\s+từ"
    r"|发自|發自|來自我的|来自我的|傳送自|从我的|從我的|أُ?رسلت?\s+من|نُ?شرت\s+من|من\s+جهاز|مرسل\s+من|تم\s+الإرسال\s+من|נשלח\s+מ|ارسال\s+شده\s+از)"
)
_SENT_AFTER = re.compile(
    r"(?:から送信(?:されました)?|より送信|에서\s*(?:보냄|보낸.{0,8}|전송|발송)|\w+(?:dan|den|tan|ten)\s+gönderildi|发送|發送|傳送)$"
)
_LAST = (
    "送信",
    "送信されました",
    "보냄",
    "보낸",
    "전송",
    "발송",
    "메시지",
    "메일",
    "gönderildi",
    "发送",
    "發送",
    "傳送",
)
_OFFER = re.compile(
    r"(?:get|download|try)\s+(?:outlook|bluemail|the\s+.{0,30}app|yahoo\s+mail|spark)\b.{0,60}|(?:outlook\s+(?:für|para|pour|per|voor|for|для|til|för)\s+(?:ios|android|i-?phone|ipad|mac|windows)\W{0,3})"
    r"|(?:obtenir|obtenez|télécharger|téléchargez|obtener|obtén|descargar|obter|obtenha|baixar|scarica|ottieni|download|pobierz|hämta|hent|få|skaffa|hanki|holen\s+sie\s+sich"
    r"|laden\s+sie|získat|stáhnout|скачать|загрузить|скачайте)\s+outlook\b.{0,60}"
    r"|outlook\s+.{0,40}\s(?:herunterladen|beziehen|downloaden|indir|edinin|を入手|를?\s*다운로드)|获取\s*.{0,30}outlook|下载\s*.{0,30}outlook|.{0,20}outlook\s*を入手"
    r"|virus-?free\.?.{0,60}|.{0,20}virenfrei\.?.{0,60}|(?:garanti\s+)?sans\s+virus\.?.{0,40}|libre\s+de\s+virus\.?.{0,40}"
    r"|(?:this\s+e-?mail\s+has\s+been\s+checked\s+for\s+viruses|diese\s+e-?mail\s+wurde\s+von\s+avast).{0,80}"
    r"|(?:do\s+you\s+yahoo!\?|yahoo!?\s+mail\s+.{0,60}app).{0,40}"
    r"|(?:please\s+)?(?:excuse|forgive|pardon)\s+(?:(?:the|any|my)\s+)?(?:brevity|typos?|errors?|terseness|autocorrect).{0,60}"
    r"|composed\s+on\s+a\s+(?:phone|mobile).{0,60}|typed\s+(?:on|with)\s+(?:my|a)\s+(?:phone|iphone|thumbs?|mobile).{0,40}"
)
_ENDING = re.compile(r"[.!?,;:]\s*$")
_KNOWN_DEVICE = re.compile(rf"(?<!\w){_DEVICE}(?!\w)|{_DEVICE}(?:['’]?[a-zäöåıu]{{1,5}})?(?!\w)|[a-z](?=から|에서)")
_STOP = re.compile(r"[,;.!?](?=\s|$)")
# What may follow a comma or full stop: an excuse, or the carrier.
_EXCUSE = re.compile(
    r"(?:please\s+|pls\s+|bitte\s+|merci\s+de\s+)?(?:excuse|forgive|pardon|ignore|blame|apolog|sorry|entschuldig|verzeih|disculp|desculp|scus|excus|beklager|ursäkta|undskyld|przepraszam|извините|brevity|typos|tipp?fehler"
    r"|an?\s+at&t|an?\s+\w+\s+(?:lte|4g|5g))|(?:samsung|galaxy|iphone|android|an?\s+)",
    re.IGNORECASE,
)
_MINE = re.compile(
    r"\b(?:my|mein\w*|mon|ma|mi|meu|minha|mio|mia|mijn|moj\w*|mého|min|mitt|моего|моей|мого)\b|我的|内の", re.IGNORECASE
)
_LEADING = re.compile(r"[\W_]*")
_TRAILING = " \t\xa0*_-–—<>[](){}|~📱✉📧\ufe0f"
_LINKS = re.compile(
    r"<(?:https?:|mailto:)[^<>\s]{1,300}>|\((?:https?:)[^()\s]{1,300}\)|\[(?:image|cid|https?):[^\[\]]{0,300}\]|(?<=\s)https?://\S{1,300}"
)
_NAMED_LINK = re.compile(r"\[([^\[\]]{1,60})\](?=\s|\(|\[|$|<|\.)(?:\[\d+\])?")
_LIST_WORDS = re.compile(
    r"mailing[\s-]?list|mailman|listinfo|unsubscribe|to\s+post\s+to\s+this|groups\.google\.com|abmelden|désabonner|list\s+archives"
    r"|subscribed\s+to|google\s+groups|cancelar\s+(?:la\s+)?suscripción|désinscri|desinscrever|abbestellen|отписаться|退订|配信停止",
    re.IGNORECASE,
)
# What a footer begins with that needs no rule above it.
_FOOTER_BEGINS = re.compile(
    r"\s*(?:you\s+(?:are\s+receiving|received)\s+this\s+(?:message|e-?mail|because)|you(?:'re|\s+are)\s+receiving\s+this\b|to\s+unsubscribe\b"
    r"|reply\s+to\s+this\s+e-?mail\s+directly\b|\[?visit\s+topic\]?.{0,200}\breply\s+to\s+this\s+e-?mail|to\s+(?:view|see)\s+this\s+(?:discussion|topic)\b"
    r"|sie\s+erhalten\s+diese\s+(?:nachricht|e-?mail),?\s+(?:weil|da)\b|vous\s+recevez\s+ce\s+(?:message|courriel|e-?mail)\b"
    r"|recibe?s?\s+este\s+(?:mensaje|correo)\s+porque|to\s+(?:stop|change)\s+(?:receiving|your)\b.{0,100}(?:e-?mail|subscription|notification)"
    r"|manage\s+your\s+(?:subscription|notification)s?\b|for\s+more\s+options,\s+visit\b|message\s+id:\s*<)",
    re.IGNORECASE,
)
_MOST_CLOSING = 12  # lines and paragraphs taken off an end
_FOOTER_LINES = 16
_LONG_FOOTER = 2_000  # characters; of longer lines only so many are looked at
_REACHES = re.compile(
    r"https?:|@|directly|\breceiv|erhalten|recevez|recib"
)  # a footer says where to turn, or why it is there
_FOOTER_HINTS = (  # every footer has one of them
    "subscri", "receiv", "directly", "mailing", "mailman", "listinfo", "visit topic", "this discussion", "this topic",
    "notification", "more options", "message id", "to post to", "groups.google", "archives", "erhalten", "abmelden",
    "abonner", "recevez", "recib", "suscri", "inscri", "inscrever", "abbestellen", "отписаться", "退订", "配信停止",
    "scrubbed",
)  # fmt: skip
_FOOTER_HEADS = frozenset("ytr[vsfm")
_LINE_HEADS = frozenset("_-=*#~—–")
_LINE = re.compile(r"\s*(?:[_\-=*#~]{3,}|-- ?|—|–|_{2})\s*")
_NEXT_PART = re.compile(r"-{5,} next part -{5,}\s*")  # below it Mailman's archive says what it took out
_WIDE_LINE = re.compile(r"\s*[_\-=*#~]{8,}\s*")


def is_advertising(line: str) -> bool:
    """Whether a line on its own was put there by the mail program ("Von meinem iPhone gesendet")."""
    if not 6 <= len(line) <= 400:
        return False
    line = line.lower()
    begin = line if line[0].isalpha() else _LEADING.sub("", line, count=1)
    if not (_SENT.match(begin) or _OFFER.match(begin) or line.rstrip(" .*_").endswith(_LAST)):
        return False
    line = _LINKS.sub("", _NAMED_LINK.sub(r"\1", begin))
    line = line.rstrip(_TRAILING)
    if not 6 <= len(line) <= 160:
        return False
    if _OFFER.fullmatch(line):
        return "?" not in line.replace("yahoo!?", "")
    if _SENT.match(line) is None and _SENT_AFTER.search(line.rstrip(".")) is None:
        return False
    device = _KNOWN_DEVICE.search(line)
    stop = _STOP.search(line)
    if device and stop is None:
        return len(line) < 110
    if device and stop and device.start() < stop.start():
        rest = line[stop.end() :].strip()
        return not rest or (_EXCUSE.match(rest) is not None and "?" not in rest)
    by_somebody = line.startswith(("sent by ", "sent with ", "sent using ", "sent on "))  # "Sent by courier"
    if not (line.startswith("sent ") or _MINE.search(line)):
        return False
    return stop is None and len(line) < 60 and not by_somebody and not _ENDING.search(line) and "," not in line


def trailing(lines: Sequence[str], start: int, end: int) -> list[tuple[BlockKind, int, int]]:
    """The runs of advertising and disclaimers at the end of `lines[start:end]`, first to last."""
    found: list[tuple[BlockKind, int, int]] = []
    for _ in range(_MOST_CLOSING):
        last = end
        while last > start and not lines[last - 1].strip():
            last -= 1
        if last == start:
            break
        taken = _closing(lines, start, last)
        if taken is None:
            break
        kind, first = taken
        found.append((kind, first, end))
        end = first
    return found[::-1]


def _closing(lines: Sequence[str], start: int, last: int) -> tuple[BlockKind, int] | None:
    """What the paragraph that ends before `last` is, and where it begins, if its author did not type it."""
    if is_advertising(lines[last - 1]):
        return BlockKind.ADVERTISING, last - 1
    if last - 1 > start and _wrapped_advertising(lines[last - 2], lines[last - 1]):
        return BlockKind.ADVERTISING, last - 2
    first = last - 1
    while first > start and lines[first - 1].strip() and last - first < 60:
        first -= 1
    if first > start and is_disclaimer(" ".join(lines[first:last])):
        above = first
        while above > start and first - above < 3 and not lines[above - 1].strip():
            above -= 1
        if above - 1 > start and _WIDE_LINE.fullmatch(lines[above - 1]):
            first = above - 1
        return BlockKind.DISCLAIMER, first
    return None


def _wrapped_advertising(first: str, second: str) -> bool:
    return (
        len(first) + len(second) < 200
        and _SENT.match(first.strip().lower()) is not None
        and is_advertising(f"{first} {second}")
    )


def list_footer(lines: Sequence[str]) -> int:
    """Where a mailing list's or forum's footer begins, at the very end: mostly a rule and lines about the list."""
    end = len(lines)
    while end > 0 and not lines[end - 1].strip():
        end -= 1
    found = len(lines)
    least = max(end - _FOOTER_LINES, 0)
    last = "\n".join(lines[least:end])
    looked_at = lines
    if len(last) > _LONG_FOOTER:
        looked_at = [*lines[:least], *(line[:_LONG_FOOTER] for line in lines[least:end])]
        last = "\n".join(looked_at[least:])
    last = last.lower()
    for hint in _FOOTER_HINTS:
        if hint in last:
            break
    else:
        return found
    for number in _footer_starts(looked_at, end):
        found = number
    return _with_advertisement(lines, found) if found < len(lines) else found


def _footer_starts(lines: Sequence[str], end: int) -> Iterator[int]:
    """Every line, from the end, from which on all that follows is about the list."""
    least = max(end - _FOOTER_LINES, 0)
    above = end
    for number in range(end - 1, least - 1, -1):
        line = lines[number]
        if above - number > 9:
            return
        head = line.lstrip()[:1].lower()
        if (head in _FOOTER_HEADS and _FOOTER_BEGINS.match(line) and _REACHES.search("\n".join(lines[number:end]))) or (
            head == "-" and _NEXT_PART.fullmatch(line) and "scrubbed" in lines[min(number + 1, end - 1)]
        ):
            above = number
            yield number
        elif head in _LINE_HEADS and _LINE.fullmatch(line):
            following = next((one for one in lines[number + 1 : end] if one.strip()), "")
            wide = _WIDE_LINE.fullmatch(line) is not None
            if (wide and _LIST_WORDS.search("\n".join(lines[number:end]))) or _FOOTER_BEGINS.match(following):
                above = number
                yield number


def _with_advertisement(lines: Sequence[str], start: int) -> int:
    """`start`, or where the advertisement begins that SourceForge set right above a footer."""
    for number in range(start - 1, max(start - 8, -1), -1):
        if not lines[number].strip():
            break
        if re.fullmatch(r"-{70,}\s*", lines[number]):
            return number if any("http" in line for line in lines[number:start]) else start
    return start
