"""From the server into the store: header sync, pulling one conversation, who waits for an answer."""
