"""One model, many responses: refits that share all work but that on the response."""
