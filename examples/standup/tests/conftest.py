pytest_plugins = ["masc_core.testing"]
