"""What mailassist remembers, in one SQLite file."""
