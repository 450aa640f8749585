"""Judgement: each module here is one check; what checks share lives in `checks.kit`."""
