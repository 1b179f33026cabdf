"""One verdict per kill for want of memory.

Read merge.py first: it brings together what several sources tell, each of which loses, repeats or delays some of it.
kill.py is what is known of a kill, words.py says it to people, telling.py is the hand of the registry on all of it.
"""
