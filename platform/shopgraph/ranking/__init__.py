"""Learned ranking: candidate sources and what is known of a pair, fused by trees trained on earlier weeks."""
