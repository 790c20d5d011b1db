"""What methods are built of: encoders, regressors, weights to start from."""
