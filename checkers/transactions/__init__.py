"""Cycles of transactions as in Adya and Elle, over lists and registers.

    check_transactions(transactions, model="snapshot-isolation") -> Verdict

`transactions` are `splitbrain.histories.transaction.Transaction`s in the order of their
invocations.
"""

from splitbrain.checkers.transactions.checker import NAME, check_transactions
from splitbrain.checkers.transactions.models import DEFAULT, MODELS, model_named

__all__ = ["DEFAULT", "MODELS", "NAME", "check_transactions", "model_named"]
