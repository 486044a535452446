"""Colours and letters. Words stand out from what is behind them by 4.5 to 1 or more, in light and in dark."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

STYLE = Path(__file__).with_name("page.css")
THEME = gr.themes.Soft(
    primary_hue="orange",
    text_size="lg",
    font=("system-ui", "sans-serif"),  # the visitor's own letters: none are fetched
    font_mono=("ui-monospace", "monospace"),
).set(
    background_fill_primary="*neutral_50",  # Soft's own, which `set` forgets
    background_fill_primary_dark="*neutral_950",
    button_secondary_border_color="*neutral_300",
    button_secondary_border_color_dark="*neutral_600",
    checkbox_border_color="*neutral_500",
    checkbox_border_color_dark="*neutral_400",
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_300",
    block_title_background_fill="transparent",
    block_title_background_fill_dark="transparent",
    block_title_text_color="*neutral_800",
    block_title_text_color_dark="*neutral_100",
    block_title_padding="0",
    block_title_text_weight="700",
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover_dark="*primary_800",
    checkbox_label_background_fill_selected="*primary_700",
    checkbox_label_background_fill_selected_dark="*primary_700",
    checkbox_background_color_selected="*primary_800",
    slider_color="*primary_700",
    slider_color_dark="*primary_600",
)
