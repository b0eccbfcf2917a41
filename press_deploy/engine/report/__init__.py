"""What a run shows people when it is over."""
