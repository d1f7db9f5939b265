"""An approved reply's way out: outbox, SMTP, Sent copy, Drafts."""
