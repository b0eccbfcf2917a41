"""What a bench says of itself: probes, samples, logs."""
