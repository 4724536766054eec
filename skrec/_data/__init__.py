"""From a user's tables to item codes: everything before the first tensor."""
