"""Reads the headers of model files, GGUF, safetensors and MLX, here or at an address (implements ports.Weights).

From: the preflight of a swap. To: WeightsLook: architecture, size, what is missing or cut. Nothing is loaded.
"""
