"""Hostile requests, made from a grammar, against one server on which ordinary clients chat."""
