"""Published figures that come with trimtab, one a line, each with its work, place and conditions."""
