"""Asyncio: workers, byte budget, pipelines."""
