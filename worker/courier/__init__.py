"""The courier: carries envelopes between two nodes. It knows nothing of what is inside; all logic is in rowferry.process_batch().

It may be killed at any moment, and two at once are slow but never wrong: the nodes look after themselves. An attempt
(attempts.py) opens the exchange (opening.py) and goes round (rounds.py) until there is a reason to open anew; where nothing moves
it rests (rest.py).
"""
