"""Evaluation: metrics of a trained model, and its predictions for new data."""
