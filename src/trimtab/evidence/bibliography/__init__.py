"""Lists of works that other programs export: BibTeX, RIS, CSL-JSON; :func:`files.read` reads any of them."""
