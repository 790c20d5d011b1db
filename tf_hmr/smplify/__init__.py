"""SMPLify: a body fitted to keypoints, alone and in the training loop."""
