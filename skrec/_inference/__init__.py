"""From trained weights to answers: vectors, scores and lists."""
