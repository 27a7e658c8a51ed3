"""Lists of works that other programs export: BibTeX, RIS, CSL-JSON; :func:`reference_files.read` reads any of them."""
