"""Sampling from models: the sampler, the stepper, and what they share."""
