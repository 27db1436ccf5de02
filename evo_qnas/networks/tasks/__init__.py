"""What a network is for: loss, metric, outcomes."""
