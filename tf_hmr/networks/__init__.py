"""Networks of the methods: encoders, regressors, pretrained weights."""
