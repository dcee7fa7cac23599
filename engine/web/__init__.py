"""The DICOMweb facade."""
