"""Base classes, tokenizers and modules of operators that read the columns of items."""
