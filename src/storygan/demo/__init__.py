"""The web page: `storygan demo` (Gradio). Only the package `page` knows Gradio; the rest is plain Python.

A visitor's input is bounded and checked on the server, nothing of it names a file, and the page loads nothing from
another host.
"""
