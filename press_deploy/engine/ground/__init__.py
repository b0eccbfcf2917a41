"""What everything stands on: errors, inputs, durable writes, progress, checks. It knows nothing of benches."""
