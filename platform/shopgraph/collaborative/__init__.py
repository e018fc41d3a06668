"""Collaborative filters: recommenders that read who bought what and need no training of a network."""
