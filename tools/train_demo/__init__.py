"""Trains the demonstration model that the package carries: data, tokenizer, network, export and scores."""
