"""The terminal UI: read, edit and approve drafts."""
