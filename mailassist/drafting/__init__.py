"""One draft: context, prompt, model, budget; and the outline that needs no model."""
