"""Self-invoking problems: built in three steps over any completer, put through gates, audited where published."""
