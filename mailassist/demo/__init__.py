"""The sample mailbox: IMAP and SMTP servers in this process, for `mailassist demo`."""
