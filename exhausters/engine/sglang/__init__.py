"""The one package that touches an attribute of SGLang's, in every form it takes over the releases.

Features are detected, version numbers are never compared. `boot` is found by name, and imported only in a
worker, in the environment of its target. The parent imports `environment` and `reserved`,
by name too.
"""
