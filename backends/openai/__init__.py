"""OpenAI's chat completions, and every server that speaks them (vLLM, llama.cpp, Ollama, OpenRouter, …)."""

from backends.openai.backend import OpenAIBackend

__all__ = ["OpenAIBackend"]
