"""Text embeddings: a BERT-family model fine-tuned on what is bought together, then projected."""
