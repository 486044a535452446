"""Toon-SV, an open cartoon story data set: simulated stories, template sentences, vector art."""
