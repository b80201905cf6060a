"""Quality gates: one small file each, with ``main(argv) -> int``. ``python -m gates`` runs all."""
