"""What mail programs write around what is not new, in the world's languages: data for `quote_markers` and others.

English, German, French, Spanish, Portuguese, Italian, Dutch, Polish, Swedish, Danish, Norwegian, Finnish, Czech,
Russian, Turkish, Greek, Japanese, Chinese, Korean, Arabic, Hebrew, and a few more each. Regular expressions in small
letters, case ignored.
"""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    """The words of `text`."""
    return frozenset(text.split())


# "wrote", in languages that put spaces between words: the word that says so, in small letters.
WROTE = word_set(
    """
    wrote writes schrieb schreibt geschrieben écrit escribió escreveu scritto scrive schreef geschreven
    napisał napisał(a) napisała pisze skrev skreiv kirjoitti napsal napsal(a) napsala píše написал написал(а)
    написала пишет писал писал(а) писала написав пише yazdı yazmış έγραψε írta scris napisana napísal napísal(a)
    napísala napisao napisal napisal(a) napisala viết menulis написа написао напиша escriure escrit escribiu
    rašė parašė rakstīja kirjutas zitat quoting citation citando skrifaði geskryf idatzi
    """
)
AUXILIARIES = word_set("a ha har hat heeft het has have je le va du ezt şunu που")  # between name and "wrote"

# "wrote", where it stands between other characters.
WROTE_WITHIN = (
    r"書きました|書いた|のメール|写道|寫道|님이\s*작성|작성했습니다|작성|님의\s*말|كتب|نوشت|نے\s+لکھا|ने\s+लिखा|यांनी\s+लिहिले|লিখেছেন|எழுதியது"
    r"|تمت\s+كتابة|كتبت|כתב|เขียนว่า|さんは"
)
# Only with a date or an address: people say so, too.
SAID = word_set("said says sagte meinte dit")

# The last word of an attribution without its colon.
LAST_WORDS = (
    "wrote", "writes", "écrit", "escribió", "escreveu", "scritto", "geschreven", "geschrieben", "schreef", "skrev",
    "yazdı", "kirjoitti", "napsal", "napisał(a)", "пишет", "написал", "написал(а)", "έγραψε", "写道", "寫道",
)  # fmt: skip

# What a dated attribution begins with.
OPENERS = (
    r"on|at|wiadomość|in\s+(?:article|message|a\s+message\s+dated)|zitat|quoting|citation|citando|am|le|el|em|no\s+dia|il|op|den|dne|dnia"
    r"|dňa|на|w\s+dniu|στις|την|τη|på|pe|dana|vào|pada|в|þann"
    r"|monday|tuesday|wednesday|thursday|friday|saturday|sunday|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag"
    r"|понедельник|вторник|среда|четверг|пятница|суббота|воскресенье|message\s+(?:du|from)"
)
OPENERS_WITHIN = r"في|بتاريخ|در\s+تاریخ|בתאריך|ב-|在|於|于"
# Days and months in short, which are other words as well: a number follows.
SHORT_DAYS = (
    r"mån|tis|ons|tors|fre|lör|sön|man|tir|tirs|tor|lør|søn|ma|ti|ke|to|pe|la|su|pon|wt|śr|czw|pt|sob|niedz|po|út|st|čt|pá"
    r"|so|ne|пн|вт|ср|чт|пт|сб|вс|нд|mon|tue|wed|thu|fri|sat|sun|mo|di|mi|do|fr|sa|lun|mar|mer|jeu|ven|sam|dim"
    r"|jan|feb|apr|may|jun|jul|aug|sep|sept|oct|nov|dec|a|mié|jue|vie|sáb|dom|seg|ter|qua|qui|sex|уто|bt|sal"
)

FROM = (
    "from|von|de|da|van|od|från|fra|lähettäjä|от|от кого|kimden|gönderen|από|差出人|送信者|发件人|寄件者"
    "|寄件人|보낸 사람|보낸사람|من|מאת|de la|feladó|від|odosielateľ|expéditeur|mittente|remitente"
    "|afzender|absender|saatja|nuo|no|frá|dari|từ|จาก|از|से"
)
DATED = (
    "date|sent|datum|gesendet|envoyé|envoyé le|fecha|enviado|enviado el|enviado em|enviada em|enviada"
    "|data|inviato|inviata|verzonden|wysłano|wysłane|skickat|sendt|dato|lähetetty|päivämäärä|päiväys|pvm"
    "|odesláno|дата|отправлено|tarih|gönderildi|gönderilme tarihi|gönderme tarihi|ημερομηνία|στάλθηκε"
    "|εστάλη|日付|送信日時|日時|发送时间|发送日期|日期|時間|时间|傳送日期|寄件日期|보낸 날짜|보낸날짜|날짜|التاريخ"
    "|تاريخ الإرسال|تم الإرسال|أرسلت|נשלח|תאריך|trimis|küldve|dátum|надіслано|poslano|poslato|sent at|sent on|date sent"
    "|odoslané|изпратено|saadetud|išsiųsta|nosūtīts|enviat|dikirim|đã gửi|ส่ง|ارسال|भेजा गया|время"
)
TO = (
    "to|an|à|a|para|aan|do|till|til|vastaanottaja|komu|кому|kime|alıcı|προς|宛先|收件人|收件者|받는 사람"
    "|받는사람|إلى|אל|către|címzett|empfänger|destinataire|destinatario|cc|kopie|copie|cópia|copia|kopia"
    "|kopi|kopio|копия|bilgi|κοιν|抄送|副本|참조|نسخة|עותק|reply-to|antwort an|répondre à"
    "|prima|za|до|adressaat|kam|per a|til|kepada|đến|ถึง|به|को"
)
SUBJECT = (
    "subject|betreff|betr|objet|asunto|assunto|oggetto|onderwerp|temat|ämne|emne|aihe|předmět|předmet"
    "|тема|konu|θέμα|件名|主题|主旨|主題|제목|الموضوع|נושא|subiect|tárgy|predmet|sujet|thema"
    "|zadeva|teema|tema|tēma|assumpte|efni|subjek|chủ đề|เรื่อง|موضوع|विषय"
)
# What forms on the web ask for, and mail programs never write into a header block.
FORM = (
    "message|nachricht|ihre nachricht|mitteilung|mensaje|mensagem|messaggio|bericht|wiadomość"
    "|meddelande|besked|viesti|сообщение|e-?mail|e-?mail[- ]?(?:address|adresse)|mail|phone|telephone|tel|telefon"
    "|téléphone|teléfono"
    "|telefone|telefono|telefoon|name|nom|nombre|nome|naam|imię|company|firma|société|empresa|azienda|bedrijf|question"
    "|frage|comment|comments|kommentar|anliegen"
)

# Between rules, above an earlier message that is answered ...
ORIGINAL = (
    r"original(?:\s+message|\s+e-?mail)?|reply\s+message|ursprüngliche\s+(?:nachricht|mail|e-?mail)"
    r"|original-?\s?nachricht|message\s+d.origine|message\s+original"
    r"|mensaje\s+original|mensagem\s+original|messaggio\s+originale"
    r"|oorspronkelijke?\s+bericht|wiadomość\s+oryginalna"
    r"|oryginalna\s+wiadomość|ursprungligt\s+meddelande"
    r"|originalmeddelande|oprindelig\s+(?:meddelelse|besked)"
    r"|opprinnelig\s+melding|alkuperäinen\s+viesti|původní\s+zpráva|původní\s+e-mail"
    r"|исходное\s+сообщение|оригинальное\s+сообщение"
    r"|orijinal\s+mesaj|özgün\s+ileti|αρχικό\s+μήνυμα"
    r"|元のメッセージ|原始邮件|原始郵件|原始信件|原邮件|원본\s*메시지|원본\s*메일"
    r"|الرسالة\s+الأصلية|הודעה\s+מקורית|mesaj\s+original"
    r"|mail\s+original|initial\s+header|eredeti\s+üzenet|оригінальне\s+повідомлення"
)
# ... and above one that is passed on.
FORWARDED = (
    r"forwarded\s+(?:message|mail)(?:\s+from\b.*)?|forwarded\s+(?:by|from)\b.*|weitergeleitete\s+(?:nachricht|mail)|(?:weiter)?weitergeleitet\s+(?:von|durch)\b.*"
    r"|message\s+transféré|transféré\s+par\b.*|mensaje\s+reenviado|reenviado\s+por\b.*|mensagem\s+(?:encaminhada|reencaminhada)"
    r"|messaggio\s+inoltrato|inoltrato\s+da\b.*|doorgestuurd\s+(?:bericht|door\b.*)|przekazana\s+wiadomość"
    r"|(?:treść\s+)?przekazanej\s+wiadomości|vidarebefordrat\s+meddelande|videresendt\s+(?:meddelelse|melding|besked)"
    r"|välitetty\s+viesti|přeposlaná\s+zpráva|пересылаемое\s+сообщение|пересланное\s+сообщение|yönlendirilmiş\s+mesaj"
    r"|iletilen\s+(?:ileti|mesaj)|προωθημένο\s+μήνυμα|転送メッセージ|転送されたメッセージ|转发邮件|转发的邮件|轉寄郵件|已转发邮件"
    r"|전달된\s*메시지|رسالة\s+معاد\s+توجيهها|הודעה\s+שהועברה|továbbított\s+üzenet|mesaj\s+redirecționat|переслане\s+повідомлення"
)
# On a line of its own, without rules, with a colon: what Apple Mail and others write above a forwarded message.
FORWARD_BEGINS = (
    r"begin\s+forwarded\s+message|anfang\s+der\s+weitergeleiteten\s+(?:nachricht|e-?mail)|début\s+du\s+message\s+(?:réexpédié|transféré)"
    r"|inicio\s+del\s+mensaje\s+reenviado|início\s+da\s+mensagem\s+(?:reencaminhada|encaminhada)|inizio\s+messaggio\s+inoltrato"
    r"|begin\s+doorgestuurd\s+bericht|początek\s+przekazywanej\s+wiadomości|vidarebefordrat\s+(?:brev|mejl)|start\s+på\s+videresendt\s+besked"
    r"|videresendt\s+melding|välitetty\s+viesti(?:\s+alkaa)?|začátek\s+přeposílané\s+zprávy|начало\s+переадресованного\s+сообщения"
    r"|iletilen\s+mesajın\s+başlangıcı|αρχή\s+προωθημένου\s+μηνύματος|以下は、?転送されたメッセージです|下面是被转发的邮件|以下是轉寄的郵件"
    r"|전달된\s+메시지\s*시작|بداية\s+الرسالة\s+المحولة|תחילת\s+ההודעה\s+שהועברה"
)
# What ticket systems write above what they send: "Please type your reply above this line".
REPLY = (
    r"reply|replies|respond|response|respons|answer|antwort\w*|réponse|répondez|répondre|respuesta|responda|responder|resposta"
    r"|rispost\w+|rispond\w+|antwoord\w*|reactie|odpowie\w+|svar\w*|vastau\w+|vastaa|odpově\w+|ответ\w*|yanıt\w*|απάντησ\w*|返信|回复|回覆|답장|회신"
)
ABOVE = (
    r"above|over|oberhalb|über|au-dessus|ci-dessus|encima|arriba|acima|sopra|boven|powyżej|nad|ovanför|over|ovenfor|yläpuolel\w+"
    r"|выше|üst\w*|πάνω|より上|上方|以上|之上|위에|위로"
)
