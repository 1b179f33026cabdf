"""Maneuvers for what lies beneath the containers: quiesce (a service is stopped until its card is well), gpu-reset and
reboot.

plan (the plan of what no container carries) · quiesce · reset · reboot · absent (a machine on which nothing of that can
be done). They act through ports.Hardware and ports.GpuDriver. Nothing here is done twice: what an earlier process began
is only looked at.
"""
