"""Turn logs of clicks and ratings into impressions."""
