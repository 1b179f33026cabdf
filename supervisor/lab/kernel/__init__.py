"""A simulated Linux kernel, below the very same code as the real one: its files, and its rules about memory.

sim (SimKernel: kernel.tree.Tree, brought up to the clock's present at each look) · load (what a container does with
memory) · machine and group (what the kernel keeps) · reclaim (what it does when memory is short) · files, text and
writes (what is shown, and what writing does) · dockerd (a simulated engine whose containers live in it).
"""
