"""What content operators over typed columns share: their base class, tokenizers and layers."""
