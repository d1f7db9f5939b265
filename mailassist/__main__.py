"""`python -m mailassist` is the same as `mailassist`."""

from mailassist.cli import main

main()
