"""Generated news headlines for examples and tests."""
