"""Transfer, sans-I/O: bodies, ranges, multipart."""
