"""The one package that touches an attribute of SGLang's, in every form it takes over the releases.

Features are detected, version numbers are never compared. Imported only in a worker, in the environment of
its target.
"""
