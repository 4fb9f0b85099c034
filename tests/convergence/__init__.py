"""Does the exchange converge? A model of the rules, random histories of it, and the same histories on real databases."""
