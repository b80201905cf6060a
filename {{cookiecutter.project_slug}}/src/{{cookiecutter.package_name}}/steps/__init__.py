"""The path as steps: separate commands with fixed output places, which DVC runs and versions.

What there is stands in ``conf/steps.yaml``; each step is a module here with ``run(config)``.
"""
