"""The logic behind the losses: formulas, what they count, and the losses they compile to.

A proposition says that a model deems an answer valid. `formulas` reads and writes them,
`structures` pairs them up into preferences, `counting` weighs them, `compiling` turns them into
losses, `decompiling` and `recognising` go back, `readings` holds what the registered losses mean,
and `lattice` orders them. Method: arXiv:2412.17696. sympy is imported when a formula is first read.
"""
