"""Golden decision traces: what SGLang's scheduler decided, in a documented form, for those who model it."""
