"""Measures: each module defines a class `Measure`, see protocol.Measure.

Protocols name the modules; there is no list of them.
"""
