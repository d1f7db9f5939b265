"""The terminal UI in which a person reads, edits, approves."""
