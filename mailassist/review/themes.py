"""Two quiet palettes: one for dark terminals, one for light ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from textual.theme import Theme

DARK = Theme(
    name="mailassist-dark",
    primary="#7aa2c8",
    secondary="#8a94a6",
    accent="#8fb8de",
    success="#8fbf8f",
    warning="#d9b36c",
    error="#e08a86",
    foreground="#d6d9de",
    background="#16181c",
    surface="#1b1e23",
    panel="#23272e",
    dark=True,
    variables={
        "block-cursor-background": "#2f3d4d",
        "block-cursor-foreground": "#f2f4f7",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#262d36",
        "block-cursor-blurred-foreground": "#d6d9de",
        "block-cursor-blurred-text-style": "none",
        "text-muted": "#949ca8",
        "input-selection-background": "#7aa2c8 30%",
    },
)

LIGHT = Theme(
    name="mailassist-light",
    primary="#2f5f8f",
    secondary="#5c6675",
    accent="#1f5c99",
    success="#2f6f3a",
    warning="#8a5a00",
    error="#a8322d",
    foreground="#22262c",
    background="#fbfbfa",
    surface="#f4f4f2",
    panel="#e9eaec",
    dark=False,
    variables={
        "block-cursor-background": "#d3e2f1",
        "block-cursor-foreground": "#101418",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#e3e8ee",
        "block-cursor-blurred-foreground": "#22262c",
        "block-cursor-blurred-text-style": "none",
        "text-muted": "#5d6673",
        "text-accent": "#1f5c99",
        "text-success": "#2f6f3a",
        "text-warning": "#8a5a00",
        "text-error": "#a8322d",
        "input-selection-background": "#2f5f8f 25%",
    },
)


def palettes(environment: Mapping[str, str]) -> list[Theme]:
    """Both; where the person wants no colours (NO_COLOR), the row in hand is reversed instead."""
    if not environment.get("NO_COLOR"):
        return [DARK, LIGHT]
    reversed_ = {f"block-cursor{state}-text-style": "reverse" for state in ("", "-blurred")}
    return [replace(theme, variables={**theme.variables, **reversed_}) for theme in (DARK, LIGHT)]


def preferred(environment: Mapping[str, str]) -> str:
    """The palette that fits the terminal, as far as it tells: COLORFGBG ends in its background's number."""
    background = environment.get("COLORFGBG", "").rpartition(";")[2]
    return LIGHT.name if background in ("7", "9", "10", "11", "12", "13", "14", "15") else DARK.name
