"""What is done to slots: swap, load, unload, sleep, wake, bench. One file per phase.

From: the runner, with a plan that core/slots.py made. To: model servers, the gate, containers; the report and the
measurements in PlanEnded.data.
"""
