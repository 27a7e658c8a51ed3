"""One file a format: bytes in, a document of spans and cells out."""
