"""The checks of training.gpu_check, each in processes of its own."""
