"""The headless daemon: watches team mailboxes, drafts replies, sends nothing."""
