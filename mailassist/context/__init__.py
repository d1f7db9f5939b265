"""What the model will see: token counts, language, packing under a budget."""
