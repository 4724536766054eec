"""From trained weights to item vectors, user vectors, scores and lists of items."""
