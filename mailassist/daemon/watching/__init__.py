"""Watching many mailboxes from one process: which one has news (`hub.Hub`)."""
