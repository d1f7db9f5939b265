"""The line above a quote: who wrote when, in the language of the reply."""

from __future__ import annotations

from datetime import datetime

from mailassist.mail.message import Message

# {date} is year-month-day and time with offset: the one form that nobody reads in the wrong order.
_LINES = {
    "bg": "На {date} {name} написа:",
    "cs": "Dne {date} {name} napsal(a):",
    "da": "Den {date} skrev {name}:",
    "de": "Am {date} schrieb {name}:",
    "el": "Στις {date}, ο/η {name} έγραψε:",
    "en": "On {date}, {name} wrote:",
    "es": "El {date}, {name} escribió:",
    "et": "{date} kirjutas {name}:",
    "fi": "{date} {name} kirjoitti:",
    "fr": "Le {date}, {name} a écrit :",
    "hr": "Dana {date} {name} je napisao/la:",
    "hu": "{date} időpontban {name} ezt írta:",
    "it": "Il {date} {name} ha scritto:",
    "ja": "{date}、{name} さんは書きました:",
    "ko": "{date} {name} 작성:",
    "lt": "{date} {name} rašė:",
    "lv": "{date} {name} rakstīja:",
    "nb": "Den {date} skrev {name}:",
    "nl": "Op {date} schreef {name}:",
    "nn": "Den {date} skreiv {name}:",
    "no": "Den {date} skrev {name}:",
    "pl": "Dnia {date} {name} napisał(a):",
    "pt": "Em {date}, {name} escreveu:",
    "ro": "Pe {date}, {name} a scris:",
    "ru": "{date} {name} пишет:",
    "sk": "Dňa {date} {name} napísal(a):",
    "sl": "Dne {date} je {name} napisal(a):",
    "sv": "Den {date} skrev {name}:",
    "tr": "{date} tarihinde {name} şunu yazdı:",
    "uk": "{date} {name} пише:",
    "zh": "{date}，{name} 写道：",
}


def attribution(original: Message, language: str) -> str:
    """One line, ending in a colon; English for a language that the table lacks. Never holds a control character."""
    line = _LINES.get(language.casefold().replace("_", "-").split("-")[0], _LINES["en"])
    author = original.author
    name = _one_line((author.name or author.email) if author else "") or "?"
    return line.format(date=_date(original.date), name=name)


def _date(date: datetime | None) -> str:
    return f"{date:%Y-%m-%d %H:%M %z}".strip() if date else "?"


def _one_line(value: str) -> str:
    return " ".join("".join(one if one.isprintable() else " " for one in value).split())
