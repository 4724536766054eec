"""From item codes to trained weights."""
