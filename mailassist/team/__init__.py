"""What the daemon and the reviewers of a team share: the queue, claims, roles, the audit trail."""
