"""Detectors: each a pure function of arrays that answers one question with a statistic, a p-value and what moved.

A detector never decides: it returns status `ok` (it could look) or `unknown` (it could not, and why).
monitoring.alarms sets the limits over all of them together. The statistic is an effect size, so that a large window
does not turn a trifle into an alarm.
"""
