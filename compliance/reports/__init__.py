"""Reports: evidence as a signed bundle of PDF, OSCAL, JSON and CSV."""
