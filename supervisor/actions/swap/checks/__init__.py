"""What is looked at before a swap touches anything, one file each; `..preflight` asks them in order.

From: a Case (the models of a swap, of a plan or of one that is only previewed) and Eyes (whom to ask). To: a Line each,
as a person reads it. Nothing here writes to anything.
"""
