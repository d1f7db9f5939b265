"""What e-mail is: parsing, threading, composing. Imports nothing else of ours."""
