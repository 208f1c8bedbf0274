"""`splitbrain generate`: writes a generated history of any size, valid or corrupted."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import click


@click.command("generate", short_help="Generate a history of any size, valid or corrupted.")
@click.option("--workload", default="kv", show_default=True, metavar="NAME",
              help="The operations of the clients: kv, kv-aged (with compactions and leases), "
                   "kv-mixed (with more kinds of transactions), register, set, or the "
                   "transactions of append or wr.")
@click.option("--ops", "operations", default=10_000, show_default=True, metavar="N",
              help="The number of operations.")
@click.option("--clients", default=32, show_default=True, metavar="C",
              help="The number of clients. Each has one pending operation at a time.")
@click.option("--uncertain", default=0.01, show_default=True, metavar="SHARE",
              help="The share of operations without an answer. Half of them take effect.")
@click.option("--failing", default=0.0, show_default=True, metavar="SHARE",
              help="The share of operations that fail.")
@click.option("--members", default=1, show_default=True, metavar="M",
              help="The number of members' states in the sidecar file; 0: no sidecar file.")
@click.option("--seed", default=0, show_default=True, metavar="S",
              help="The seed of all random draws.")
@click.option("--corrupt", default="", metavar="NAME",
              help="Corrupt the history in this way; see `splitbrain list corruptions`.")
@click.option("--spoil", default="", hidden=True)
@click.option("-o", "--output", required=True, metavar="FILE",
              type=click.Path(path_type=Path, dir_okay=False),
              help="The file of the history. The members' states are written to a sidecar file: "
                   "FILE with .members.jsonl in place of .jsonl.")
def command(
    workload: str, operations: int, clients: int, uncertain: float, failing: float, members: int,
    seed: int, corrupt: str, spoil: str, output: Path,
) -> int:
    """Generate a history from a model of the store, with clients in virtual time.

    The history is valid; with --corrupt, it contains one violation. The same arguments give
    the same file, byte for byte. A second file, the sidecar file, contains the members' final
    states, which `splitbrain check` also judges. To judge the history alone, delete the
    sidecar file, or pass --members 0.

    \b
    Examples:
      splitbrain generate --ops 1000000 --seed 1 -o kv.jsonl && splitbrain check kv.jsonl
      splitbrain generate --workload register --corrupt stale-read -o stale.jsonl
    """
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.synthetic.generator import CannotCorruptError, Recipe, generate_file
    from splitbrain.harness.synthetic.transactions import TRANSACTIONS
    from splitbrain.harness.synthetic.workloads import WORKLOADS
    from splitbrain.histories.sidecar import members_path

    corrupt = corrupt or spoil
    if workload not in WORKLOADS and workload not in TRANSACTIONS:
        known = ", ".join([*WORKLOADS, *TRANSACTIONS])
        raise BadArguments(f"--workload {workload}: expected one of {known}")
    _check_corruption(workload, corrupt, members)
    if operations < 1 or clients < 1 or members < 0:
        raise BadArguments(
            f"--ops {operations} --clients {clients} --members {members}: expected at least one "
            "operation and one client, and no negative number of members"
        )
    if min(uncertain, failing) < 0 or uncertain + failing > 1:
        raise BadArguments(
            f"--uncertain {uncertain} --failing {failing}: expected shares from 0 to 1, whose sum "
            "is at most 1"
        )
    if not output.absolute().parent.is_dir():
        raise BadArguments(
            f"-o {output}: the folder {output.absolute().parent} does not exist; create it first"
        )
    if workload in TRANSACTIONS:
        _write_transactions(
            output, workload, operations, clients, uncertain, failing, seed, corrupt
        )
        return 0
    recipe = Recipe(
        workload=workload, operations=operations, clients=clients, uncertain=uncertain,
        failing=failing, seed=seed, members=members, corrupt=corrupt,
    )
    try:
        generate_file(output, recipe)
    except CannotCorruptError as problem:
        output.unlink()
        raise BadArguments(f"{problem}; try more --ops, --clients or another --seed") from problem
    click.echo(str(output))
    if members:
        click.echo(str(members_path(output)))
    return 0


def _check_corruption(workload: str, corrupt: str, members: int) -> None:
    """Raise BadArguments if the corruption `corrupt` is impossible.

    It is impossible if `workload` has no such corruption, or if the corruption needs more than
    `members` members.
    """
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.synthetic.kv_corruptions import CORRUPTIONS
    from splitbrain.harness.synthetic.transaction_corruptions import APPEND_CORRUPTIONS
    from splitbrain.harness.synthetic.workloads import WORKLOADS

    if not corrupt:
        return
    known: Collection[str] = ()
    if workload in WORKLOADS:
        known = CORRUPTIONS
    elif workload == "append":
        known = APPEND_CORRUPTIONS
    if corrupt not in known:
        expected = f"expected one of {', '.join(known)}" if known else "this workload has none"
        raise BadArguments(f"--corrupt {corrupt} with --workload {workload}: {expected}")
    if workload in WORKLOADS and members < CORRUPTIONS[corrupt].members_min:
        raise BadArguments(
            f"--corrupt {corrupt} with --members {members}: a checker finds this corruption in the "
            f"members' states alone; expected --members {CORRUPTIONS[corrupt].members_min} or more"
        )


def _write_transactions(
    output: Path, workload: str, operations: int, clients: int, uncertain: float, failing: float,
    seed: int, corrupt: str,
) -> None:
    """Write a history of transactions to `output`.

    No sidecar file is written, because no checker of transactions needs the members' states.
    """
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.synthetic.transaction_corruptions import corrupt_append
    from splitbrain.harness.synthetic.transactions import generate_append
    from splitbrain.histories.formats.transactions import write_transactions
    from splitbrain.histories.garbage_collection import collector_paused

    with collector_paused():
        transactions = generate_append(
            operations, clients, uncertain, failing, seed, workload == "wr"
        )
        if corrupt:
            corrupted = corrupt_append(transactions, corrupt, seed)
            if corrupted is None:
                raise BadArguments(
                    f"the corruption {corrupt} is not possible anywhere in {operations} "
                    f"transactions; try more --ops, --clients or another --seed"
                )
            transactions = corrupted
        write_transactions(output, transactions)
    click.echo(str(output))
