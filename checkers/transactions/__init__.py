"""Finds Adya's anomalies in transactions over lists and registers, as Elle does.

This call returns a `Verdict`:

    check_transactions(transactions, model="snapshot-isolation")

`transactions` are `splitbrain.histories.transaction.Transaction`s in the order of their
invocations. `MODELS` contains the names of the consistency models. `DEFAULT` is the model
strict-serializable. `model_named` resolves synonyms such as `PL-3`.
"""

from splitbrain.checkers.transactions.checker import NAME, check_transactions
from splitbrain.checkers.transactions.models import DEFAULT, MODELS, model_named

__all__ = ["DEFAULT", "MODELS", "NAME", "check_transactions", "model_named"]
