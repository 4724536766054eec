"""Read the owners' files, and keep converted copies of them."""
