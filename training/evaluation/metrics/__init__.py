"""What can be measured: each module holds a class `Measure`.

A protocol names the modules; nothing lists them. See protocol.Measure.
"""
