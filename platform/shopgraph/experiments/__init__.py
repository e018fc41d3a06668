"""Experiments: begun, stopped and judged; who sees what is decided where answers are made."""
