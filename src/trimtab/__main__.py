"""``python -m trimtab`` is ``trimtab``."""

from trimtab.cli.main import main

main()
