"""The seam: `api` says what an engine offers; `sglang` and `fake` are the two engines that offer it."""
