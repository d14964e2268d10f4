"""Commands and outputs of the documents."""
