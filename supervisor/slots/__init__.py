"""What is decided about slots, pure: what fits, which shape a swap takes, whether a model may stay, who stands in.

From: declarations (facts.Slot), what was seen, the journal. To: core/slots.py and the maneuvers in actions/swap.
"""
