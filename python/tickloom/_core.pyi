"""The compiled core. Written by hand, checked against the module by `make types`."""
