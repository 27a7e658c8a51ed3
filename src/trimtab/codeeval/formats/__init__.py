"""Files of samples that other tools write: a reader for each, chosen by what the file holds."""
