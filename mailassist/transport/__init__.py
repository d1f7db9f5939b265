"""The outside world of mail: IMAP, SMTP, Maildir, mbox, autoconfig."""
