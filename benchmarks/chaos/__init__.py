"""What ``benchmarks/faults.py`` is made of.

``history`` is what clients did and saw, ``checks`` and ``register`` judge it; ``load`` are the clients, ``servers`` and
``stores`` the processes they use, ``kinds`` the faults, ``run`` one run of one fault.
"""
