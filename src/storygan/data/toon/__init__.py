"""Toon-SV: an open cartoon story data set, simulated, told and drawn with OpenMoji."""
