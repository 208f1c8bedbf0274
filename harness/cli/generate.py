"""`splitbrain generate`: a history of any size from a model of the store, valid or spoilt."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("generate", short_help="Make a history, valid or spoilt, of any size.")
@click.option("--workload", default="kv", show_default=True, metavar="NAME",
              help="What clients ask: kv, kv-aged, register, set; or append, wr: transactions as "
                   "micro-operations.")
@click.option("--ops", "operations", default=10_000, show_default=True, metavar="N",
              help="How many operations clients begin.")
@click.option("--clients", default=32, show_default=True, metavar="C",
              help="Clients, each with one operation under way at a time.")
@click.option("--uncertain", default=0.01, show_default=True, metavar="SHARE",
              help="Share of operations without an answer; half of them happen.")
@click.option("--failing", default=0.0, show_default=True, metavar="SHARE",
              help="Share of operations that are refused.")
@click.option("--members", default=1, show_default=True, metavar="M",
              help="Members whose states are written beside the history; 0: none.")
@click.option("--seed", default=0, show_default=True, metavar="S",
              help="Decides everything that chance decides.")
@click.option("--spoil", default="", metavar="KIND",
              help="Spoil it in this way: see `splitbrain list spoils`.")
@click.option("-o", "--output", required=True, metavar="FILE",
              type=click.Path(path_type=Path, dir_okay=False),
              help="The history; what the members hold stands beside it, in FILE's name with "
                   ".members.jsonl.")
def command(
    workload: str, operations: int, clients: int, uncertain: float, failing: float, members: int,
    seed: int, spoil: str, output: Path,
) -> int:
    """Make a history from a model of the store, with clients in virtual time.

    It is valid unless --spoil makes it invalid, at one place behind its middle. The same
    arguments give the same file, byte for byte. To judge it as a black box, delete the
    file of its members, or ask for --members 0.

    \b
    Examples:
      splitbrain generate --ops 1000000 --seed 1 -o kv.jsonl && splitbrain check kv.jsonl
      splitbrain generate --workload register --spoil stale-read -o stale.jsonl
    """
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.synthetic.append import APPEND_SPOILS, TRANSACTIONS
    from splitbrain.harness.synthetic.corruptions import SPOILS
    from splitbrain.harness.synthetic.draws import DRAWS
    from splitbrain.harness.synthetic.generator import CannotSpoilError, Recipe, generate_file
    from splitbrain.histories.sidecar import members_path

    transactions = workload in TRANSACTIONS
    if workload not in DRAWS and not transactions:
        known = ", ".join([*DRAWS, *TRANSACTIONS])
        raise BadArguments(f"no workload {workload!r} to generate; there are {known}")
    spoils = SPOILS if not transactions else APPEND_SPOILS if workload == "append" else {}
    if spoil and spoil not in spoils:
        known = f"there are {', '.join(spoils)}" if spoils else "there are none"
        raise BadArguments(f"no spoil {spoil!r} of the workload {workload}; {known}")
    if spoil and not transactions and members < SPOILS[spoil].members_min:
        raise BadArguments(
            f"--spoil {spoil} shows in members' states: --members {SPOILS[spoil].members_min}"
        )
    if operations < 1 or clients < 1 or members < 0:
        raise BadArguments(
            f"--ops {operations} --clients {clients} --members {members}: expected at least one "
            "operation and one client"
        )
    if min(uncertain, failing) < 0 or uncertain + failing > 1:
        raise BadArguments(
            f"--uncertain {uncertain} --failing {failing}: expected shares, together at most 1"
        )
    if not output.absolute().parent.is_dir():
        raise BadArguments(f"-o {output}: there is no folder {output.absolute().parent}")
    if transactions:
        _write_transactions(output, workload, operations, clients, uncertain, failing, seed, spoil)
        return 0
    recipe = Recipe(workload, operations, clients, uncertain, failing, seed, members, spoil)
    try:
        generate_file(output, recipe)
    except CannotSpoilError as problem:
        output.unlink()
        raise BadArguments(f"{problem}; try more --ops, --clients or another --seed") from problem
    click.echo(str(output))
    if members:
        click.echo(str(members_path(output)))
    return 0


def _write_transactions(
    output: Path, workload: str, operations: int, clients: int, uncertain: float, failing: float,
    seed: int, spoil: str,
) -> None:
    """Nothing stands beside it: transactions are judged by what clients saw alone."""
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.synthetic.append import generate_append, spoil_append
    from splitbrain.histories.formats.transactions import write_transactions
    from splitbrain.histories.garbage_collection import collector_paused

    with collector_paused():
        made = generate_append(operations, clients, uncertain, failing, seed, workload == "wr")
        if spoil:
            spoilt = spoil_append(made, spoil, seed)
            if spoilt is None:
                raise BadArguments(
                    f"nothing to spoil by {spoil}; try more --ops, --clients or another --seed"
                )
            made = spoilt
        write_transactions(output, made)
    click.echo(str(output))
