"""What documents, tables and our own measurements say about a claim, and where they say it."""
