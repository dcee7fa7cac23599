"""Durable things: blobs, catalogue, renditions, journal."""
