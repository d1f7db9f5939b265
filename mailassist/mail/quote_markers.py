"""How mail programs mark what is not new: attribution lines, header blocks, separators, in the world's languages.

The tables hold what programs write (Gmail, Outlook, Apple Mail, Thunderbird, Yahoo, Proton and others), by language.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# Marks of direction (UAX #9) that right-to-left programs put around names and addresses.
DIRECTION = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff]")

# What programs write for "wrote": English, German, French, Spanish, Portuguese, Italian, Dutch, Polish, Swedish,
# Danish, Norwegian, Finnish, Czech, Russian, Turkish, Greek, Japanese, Chinese, Korean, Arabic, Hebrew, Persian, Urdu,
# Hindi, Marathi, Bengali, Tamil, and a few more.
_WROTE_VERBS = (
    r"wrote|writes|schrieb|schreibt|geschrieben|a\s+écrit|écrit|escribió|escreveu|ha\s+scritto|scrive|schreef"
    r"|napisał(?:\(a\)|a)?|pisze|skrev|skreiv|kirjoitti|napsal(?:\(a\)|a)?|píše|написал(?:\(а\)|а)?|пишет|писал(?:\(а\)|а)?"
    r"|написав|пише|yazdı|yazmış|έγραψε|írta|a\s+scris|napísal(?:\(a\)|a)?|napisao|napisal(?:\(a\)|a)?"
    r"|đã\s+viết|menulis|написа|написао|напиша|va\s+escriure|ha\s+escrit|escribiu|rašė|parašė|rakstīja|kirjutas"
    r"|zitat\s+von|quoting|skrifaði|het\s+geskryf|idatzi\s+du"
)
_WROTE = re.compile(
    rf"\b(?:{_WROTE_VERBS})\b"
    r"|書きました|書いた|のメール|写道|寫道|님이\s*작성|작성했습니다|작성|님의\s*말|كتب|نوشت|نے\s+لکھا|ने\s+लिखा|यांनी\s+लिहिले|লিখেছেন|எழுதியது|تمت\s+كتابة|كتبت|כתב|เขียนว่า|さんは",
    re.IGNORECASE,
)
_OPENER = re.compile(
    r"(?:On|At|Zitat|Quoting|Am|Le|El|Em|Il|Op|Den|Dne|Dnia|Dňa|На|W\s+dniu|Στις|Την|Τη|A|På|Pe|Dana|Vào|Pada|في|بتاريخ|בתאריך|ב-|в|"
    r"mån|tis|ons|tors|fre|lör|sön|man|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|tir|tirs|tor|lør|søn|ma|ti|ke|to|pe|la|su|pon|wt|śr|czw|pt|sob|niedz|"
    r"po|út|st|čt|pá|so|ne|пн|вт|ср|чт|пт|сб|вс|Mon|Tue|Wed|Thu|Fri|Sat|Sun|在|於|于)\b"
    r"|\d{1,4}[./\-年년 ]|\"?[^<>\"]{1,60}\"?\s*[<(\[]",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"\b(?:19|20)\d\d\b|\b\d{1,2}[:.h]\d\d\b|\b\d{1,2}[./-]\d{1,2}[./-]\d{2,4}\b|\d{4}\s*[年년]|\d{1,2}\s*月",
)
# What only a person writes above what somebody said: a sentence before it, "I wrote", "as he wrote".
_SENTENCE_ENDS = re.compile(r"[^\W\d_]{5,}[.!?]\s+[^\W\d_a-z]")
_PRONOUN = (
    "(?:i|you|he|she|we|they|ich|du|er|sie|ik|je|u|hij|zij|jag|du|han|hon|jeg|hun|il|elle|ele|ela|você|я|ты|он|она)"
)
_PRONOUN_WROTE = re.compile(rf"\b{_PRONOUN}\s+(?:{_WROTE_VERBS})\b|\b(?:{_WROTE_VERBS})\s+{_PRONOUN}\b", re.IGNORECASE)
_WHOLE_DATE = re.compile(r"\b(?:19|20)\d\d\b|\b\d{1,2}[./-]\s?\d{1,2}[./-]\s?\d{2,4}\b|\d{4}\s*[年년]")
_TIME = re.compile(r"(?<![\d.])\d{1,2}[:.h]\d\d(?![.\d])|\d\s*[時时시]|\b\d{1,2}\s?[ap]\.?m\b", re.IGNORECASE)
# Archives of lists write "x at y.example".
_BRACKETED_ADDRESS = re.compile(r"[<(\[][^\s<>()\[\]]+(?:@| at (?=\S+\.))[^\s<>()\[\]]+[>)\]]")
_WRITTEN_OUT = re.compile(r"[:：][*_]{0,2}\s*\S+ at (?:[\w-]+\.)+[a-z]{2,24}[,;]?(?:\s|$)")
_EMAIL = re.compile(r"[^\s<>\"'()\[\]]+@[^\s<>\"'()\[\]]+")
_ENDS_WITH_ADDRESS = re.compile(
    r"(?:[<(\[][^\s<>()\[\]]+@[^\s<>()\[\]]+[>)\]]|\d[:.]\d\d\s+(?:by|von|de|da|van|od|от|av|af)\s+[^\s<>()\[\]]+@[^\s<>()\[\]:]+)"
    r"\s*[,;]?\s*[:：]\s*$"
)
_BETWEEN_RULES = re.compile(r"\s*-{3,}\s*([^\s-].*[^\s-])\s*-{3,}")  # so Zoho writes its attributions
_LONGEST_ATTRIBUTION = 400
_LOOKED_BACK = 20  # lines above an attribution

_FROM = (
    "from|von|de|da|van|od|från|fra|lähettäjä|от|от кого|kimden|gönderen|από|差出人|送信者|发件人|寄件者"
    "|寄件人|보낸 사람|보낸사람|من|מאת|de la|feladó|від|odosielateľ|expéditeur|mittente|remitente"
    "|afzender|absender|saatja|nuo|no|frá|dari|từ|จาก|از|से"
)
_DATED = (
    "date|sent|datum|gesendet|envoyé|envoyé le|fecha|enviado|enviado el|enviado em|enviada em|enviada"
    "|data|inviato|inviata|verzonden|wysłano|wysłane|skickat|sendt|dato|lähetetty|päivämäärä|päiväys|pvm"
    "|odesláno|дата|отправлено|tarih|gönderildi|gönderilme tarihi|gönderme tarihi|ημερομηνία|στάλθηκε"
    "|εστάλη|日付|送信日時|日時|发送时间|发送日期|日期|傳送日期|寄件日期|보낸 날짜|보낸날짜|날짜|التاريخ"
    "|تاريخ الإرسال|تم الإرسال|أرسلت|נשלח|תאריך|trimis|küldve|dátum|надіслано|poslano|poslato"
    "|odoslané|изпратено|saadetud|išsiųsta|nosūtīts|enviat|dikirim|đã gửi|ส่ง|ارسال|भेजा गया"
)
_TO = (
    "to|an|à|a|para|aan|do|till|til|vastaanottaja|komu|кому|kime|alıcı|προς|宛先|收件人|收件者|받는 사람"
    "|받는사람|إلى|אל|către|címzett|empfänger|destinataire|destinatario|cc|kopie|copie|cópia|copia|kopia"
    "|kopi|kopio|копия|bilgi|κοιν|抄送|副本|참조|نسخة|עותק"
    "|prima|za|до|adressaat|kam|per a|til|kepada|đến|ถึง|به|को"
)
_SUBJECT = (
    "subject|betreff|betr|objet|asunto|assunto|oggetto|onderwerp|temat|ämne|emne|aihe|předmět|předmet"
    "|тема|konu|θέμα|件名|主题|主旨|主題|제목|الموضوع|נושא|subiect|tárgy|predmet|sujet"
    "|zadeva|teema|tema|tēma|assumpte|efni|subjek|chủ đề|เรื่อง|موضوع|विषय"
)
_KEYS = {
    key: kind
    for kind, keys in (("to", _TO), ("date", _DATED), ("subject", _SUBJECT), ("from", _FROM))
    for key in keys.split("|")
}
_KEY_LINE = re.compile(r"\s{0,4}[*_]{0,2}([^\s:：*_][^:：*_]{0,24}?)[*_]{0,2}\s{0,2}[:：][*_]{0,2}(?:\s|$|(?=\S))")

# What forms on the web ask for, and mail programs never write into a header block.
_FORM_LINE = re.compile(
    r"\s*[*_]{0,2}(?:message|nachricht|ihre nachricht|mitteilung|mensaje|mensagem|messaggio|bericht|wiadomość"
    r"|meddelande|besked|viesti|сообщение|e-?mail|e-?mail[- ]?(?:address|adresse)|mail|phone|telephone|tel|telefon"
    r"|téléphone|teléfono"
    r"|telefone|telefono|telefoon|name|nom|nombre|nome|naam|imię|company|firma|société|empresa|azienda|bedrijf|question"
    r"|frage|comment|comments|kommentar|anliegen)[*_]{0,2}\s{0,2}[:：]",
    re.IGNORECASE,
)

_ORIGINAL = (
    r"original\s+message|reply\s+message|forwarded\s+message|forwarded\s+by\b.*|ursprüngliche\s+nachricht"
    r"|original-?nachricht|weitergeleitete\s+nachricht|message\s+d.origine|message\s+original|message\s+transféré"
    r"|mensaje\s+original|mensaje\s+reenviado|mensagem\s+original|mensagem\s+encaminhada|messaggio\s+originale"
    r"|messaggio\s+inoltrato|oorspronkelijke?\s+bericht|doorgestuurd\s+bericht|wiadomość\s+oryginalna"
    r"|oryginalna\s+wiadomość|przekazana\s+wiadomość|treść\s+przekazanej\s+wiadomości|ursprungligt\s+meddelande"
    r"|originalmeddelande|vidarebefordrat\s+meddelande|oprindelig\s+meddelelse|videresendt\s+(?:meddelelse|melding)"
    r"|opprinnelig\s+melding|alkuperäinen\s+viesti|välitetty\s+viesti|původní\s+zpráva|původní\s+e-mail"
    r"|přeposlaná\s+zpráva|исходное\s+сообщение|пересылаемое\s+сообщение|пересланное\s+сообщение|оригинальное\s+сообщение"
    r"|orijinal\s+mesaj|özgün\s+ileti|yönlendirilmiş\s+mesaj|iletilen\s+ileti|αρχικό\s+μήνυμα|προωθημένο\s+μήνυμα"
    r"|元のメッセージ|転送メッセージ|転送されたメッセージ|原始邮件|原始郵件|原始信件|转发邮件|轉寄郵件|已转发邮件|원본\s*메시지|원본\s*메일"
    r"|전달된\s*메시지|الرسالة\s+الأصلية|رسالة\s+معاد\s+توجيهها|הודעה\s+מקורית|הודעה\s+שהועברה|mesaj\s+original"
    r"|mail\s+original|ursprüngliche\s+mail|initial\s+header|eredeti\s+üzenet|оригінальне\s+повідомлення"
)
_SEPARATOR = re.compile(rf"\s*[-_*=—–]{{2,}}\s*(?:{_ORIGINAL})\s*[-_*=—–]{{2,}}\s*:?\s*", re.IGNORECASE)
_BEGIN = re.compile(
    r"\s*(?:begin\s+forwarded\s+message|anfang\s+der\s+weitergeleiteten\s+nachricht|début\s+du\s+message\s+(?:réexpédié|transféré)"
    r"|inicio\s+del\s+mensaje\s+reenviado|início\s+da\s+mensagem\s+(?:reencaminhada|encaminhada)|inizio\s+messaggio\s+inoltrato"
    r"|begin\s+doorgestuurd\s+bericht|początek\s+przekazywanej\s+wiadomości|vidarebefordrat\s+brev|start\s+på\s+videresendt\s+besked"
    r"|videresendt\s+melding|välitetty\s+viesti\s+alkaa|začátek\s+přeposílané\s+zprávy|начало\s+переадресованного\s+сообщения"
    r"|iletilen\s+mesajın\s+başlangıcı|αρχή\s+προωθημένου\s+μηνύματος|以下は、?転送されたメッセージです|下面是被转发的邮件|以下是轉寄的郵件"
    r"|전달된\s+메시지\s*시작|بداية\s+الرسالة\s+المحولة|תחילת\s+ההודעה\s+שהועברה)\s*[:：]\s*",
    re.IGNORECASE,
)
RULE = re.compile(r"\s*(?:[-_*=—–]\s?){5,}\s*")


def is_separator(line: str) -> bool:
    """Whether `line` says that an earlier message follows ("-----Original Message-----")."""
    if len(line) > 120:
        return False
    stripped = line.lstrip()
    if stripped[:1] in "-_*=—–" and stripped:
        return _SEPARATOR.fullmatch(line) is not None
    return line.rstrip()[-1:] in (":", "：") and _BEGIN.fullmatch(line) is not None


def header_key(line: str) -> str:
    """What a line like `Von: ...` is in a header block: "from", "to", "date", "subject", or ""."""
    if ":" not in line[:40] and "：" not in line[:40]:
        return ""
    if not line.isascii():
        line = DIRECTION.sub("", line)
    match = _KEY_LINE.match(line)
    return _KEYS.get(" ".join(match.group(1).lower().split()), "") if match else ""


def header_block(lines: Sequence[str], start: int) -> int:
    """Where the header block ends that begins at `start`, or 0.

    It has lines for From and two others, and looks as a mail program writes it: an address in From or To, or From or
    Date first, with a whole date and a subject. A form that people filled in ("From: London", "Message: ...") is none.
    """
    if not header_key(lines[start]):
        return 0
    kinds: dict[str, str] = {}
    end = start
    others = blanks = 0
    for number in range(start, min(start + 25, len(lines))):
        line = lines[number]
        kind = header_key(line)
        if kind:
            kinds.setdefault(kind, line)
            end, others, blanks = number + 1, 0, 0
        elif not line.strip():
            blanks += 1
            if blanks > 1 or len(kinds) >= 4 or {"from", "subject"} <= kinds.keys():
                break
        elif _FORM_LINE.match(line):
            return 0
        else:
            others += 1
            if others > 3 or blanks or len(line) > 200:
                break
    return end if "from" in kinds and len(kinds) >= 3 and _by_program(kinds) else 0


def _by_program(kinds: dict[str, str]) -> bool:
    """Whether the lines of a header block hold what a mail program puts there."""
    addressed = (kinds.get(kind, "") for kind in ("from", "to"))
    if any(form.search(line) for line in addressed for form in (_EMAIL, _BRACKETED_ADDRESS, _WRITTEN_OUT)):
        return True
    first = next(iter(kinds))
    return first in ("from", "date") and "subject" in kinds and bool(_DATE.search(kinds.get("date", "")))


def attribution(lines: Sequence[str], last: int, first: int = 0) -> tuple[int, bool] | None:
    """The attribution that ends with line `last`: where it begins (at `first` or after), and whether it is certain.

    Certain means that a program wrote it, so that what follows without quote marks is an earlier message: it names
    date and time or an address, and stands where a program puts it, below a finished text. None where there is none.
    """
    end = lines[last].rstrip()
    if len(end) > _LONGEST_ATTRIBUTION:
        return None
    if not end.isascii():
        end = DIRECTION.sub("", end).rstrip()
    if between := _BETWEEN_RULES.fullmatch(end):
        end = f"{between[1]}:"
    if not end.endswith((":", "：")) or end.lstrip().startswith(">"):
        return None
    text = end
    for start in range(last, max(last - 4, first - 1), -1):
        if start < last:
            line = lines[start]
            if not line.strip() or len(line) + len(text) > _LONGEST_ATTRIBUTION or line.lstrip().startswith(">"):
                break
            text = f"{DIRECTION.sub('', line).strip()} {text.strip()}"
        if _attributes(text):
            return start, _certain(text, lines[max(first, start - _LOOKED_BACK) : start])
    return (last, False) if _short_attribution(end) else None


def _attributes(text: str) -> bool:
    """Whether `text` as a whole is an attribution with a date or an address in it."""
    text = text.strip()
    dated, addressed = _DATE.search(text), "@" in text and _EMAIL.search(text)
    if not (dated or addressed) or not _OPENER.match(text):
        return False
    if _WROTE.search(text):
        return bool(dated) or (bool(addressed) and len(text) < 200)
    return bool(dated) and bool(addressed) and _ENDS_WITH_ADDRESS.search(text) is not None


def _certain(text: str, above: Sequence[str]) -> bool:
    """Whether a program wrote the attribution `text` below the lines `above`, and not the author about somebody."""
    if _SENTENCE_ENDS.search(text) or _PRONOUN_WROTE.search(text):
        return False
    if _BRACKETED_ADDRESS.search(text):
        return True
    if not _WHOLE_DATE.search(text) or not (_TIME.search(text) or _EMAIL.search(text)):
        return False
    if above and above[-1].strip():
        return False  # it goes on with a paragraph
    written = [line for line in above if line.strip()]
    return len(written) != 1 or not written[0].rstrip().endswith((",", "，", "،"))  # a greeting alone is no answer


def _short_attribution(line: str) -> bool:
    """`Tomás Vidal wrote:` alone."""
    line = line.strip()
    match = _WROTE.search(line)
    if match is None or len(line) > 80:
        return False
    name = (line[: match.start()] + line[match.end() :]).strip(" :：,")
    return 0 < len(name.split()) <= 6 and "." not in name.rstrip(".")
