"""The command line: one file for each kind of thing a verb works on."""
