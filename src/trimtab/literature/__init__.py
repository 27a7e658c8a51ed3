"""Literature search: one transport, one file a database, de-duplication, screening, PRISMA counts."""
