"""`splitbrain completion SHELL`: prints the completion script of a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command("completion", short_help="Print a completion script for bash, zsh or fish.")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> int:
    """Print the script that completes commands and options in SHELL.

    Add the line for your shell to the file that it reads when it starts:

    \b
    ~/.bashrc:                    eval "$(splitbrain completion bash)"
    ~/.zshrc:                     eval "$(splitbrain completion zsh)"
    ~/.config/fish/config.fish:   splitbrain completion fish | source

    \b
    Exit codes: 0 printed, 254 bad arguments.
    """
    from splitbrain.harness.cli.main import splitbrain

    kind = get_completion_class(shell)
    assert kind is not None, f"click has no completion for {shell}"
    click.echo(kind(splitbrain, {}, "splitbrain", "_SPLITBRAIN_COMPLETE").source())
    return 0
