"""mailassist drafts replies to your e-mail; you approve, it sends."""

__version__ = "0.1.0"
