"""From a compose file to a container, for services that are there already: no compose program is needed.

Read reading.py first (a file's text to one resolved document per service, as the person who asks), then body.py (such
a document and the running container to a create body) and difference.py (what would change, in words, and what of it
widens rights). preview.py asks an engine and puts the last two together.
"""
