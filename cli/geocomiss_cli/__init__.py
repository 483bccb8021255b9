"""The command line of geocomiss: one command a file."""
