"""What every learner shares: the loop over epochs, the optimiser, and the form of a trained embedding."""
