"""Latency, throughput and token cost of MCP servers, ours or any other; what ``masc bench`` runs.

``engine`` takes calls in turn and times them, ``stats`` sums times up, ``servers`` connects, ``calls`` says what is called,
``tokens`` counts a tool list, ``report`` and ``plot`` show. The first two know nothing of MCP; ``benchmarks/`` uses them too.
"""
