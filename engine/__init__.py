"""Mersey's engine: moves the bytes of DICOM studies."""
