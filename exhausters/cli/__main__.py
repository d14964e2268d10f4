"""`python -m exhausters.cli`."""

from exhausters.cli.app import app

if __name__ == "__main__":
    app(prog_name="exhausters")
