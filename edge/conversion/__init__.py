"""From a method to a checked file: TFLite, ONNX, quantization, the card."""
