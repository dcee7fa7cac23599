"""DICOM, sans-I/O: bytes in, values out; opens nothing."""
