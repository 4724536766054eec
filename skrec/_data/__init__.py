"""From the data that users pass to item codes, offsets and tensors."""
