"""Scripts that print figures measured in one run; no test looks at them."""
