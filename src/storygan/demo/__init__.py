"""The web page of `storygan demo`. Only the package `page` imports Gradio.

The server checks and bounds all input, no input names a file, and the page loads nothing from another host.
"""
