"""The commands under one roof, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from keyword import iskeyword
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from dlcli import __version__
from dlcli.console import Screen
from dlcli.errors import DlcliError

COMMANDS = (
    "train",
    "launch",
    "sweep",
    "check",
    "evaluate",
    "predict",
    "serve",
    "report",
    "visualize",
    "export",
    "summary",
    "code",
    "import",
    "runs",
    "init",
    "data",
    "schema",
    "doctor",
)
"""the names of the commands: each is a function, or a group of them, in the module of its name (`import_`)"""
_SECOND = {"data": {"fetch": "fetch"}, "sweep": {"best": "sweep_best", "show": "sweep_show"}}
"""what a command's first argument may be that makes it another command, with its module; a file is `./fetch`"""
EXIT_CODES = """
Exit codes: 0 done; 1 a fault of dlcli's own; 2 wrong usage or spec; 3 data; 4 run or checkpoint; 5 device;
130 and 143 after SIGINT and SIGTERM, with the work saved.
"""


class _Commands(TyperGroup):
    """Loads only the command that is called; shows dlcli's errors as messages, never as a traceback."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        # What is no command is answered with those that are spelt nearly so: of all.
        for name in (cmd_name,) if cmd_name in COMMANDS else COMMANDS:
            if name not in self.commands:
                self.commands[name] = _loaded(name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        second = _SECOND.get(args[0], {}).get(args[1]) if len(args) > 1 else None
        if second is not None:
            name = " ".join(args[:2])
            if name not in self.commands:
                self.commands[name] = _loaded(second)
            return name, self.commands[name], args[2:]
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        screen = ctx.obj = Screen()
        try:
            return super().invoke(ctx)
        except DlcliError as error:
            screen.error(error)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            screen.message("Interrupted.")
            raise typer.Exit(130) from error
        except BrokenPipeError as error:
            # Whoever read the output has gone, as `head` does; Python would complain again when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from error
        except (typer.Exit, typer.Abort, SystemExit):
            raise
        except Exception as error:  # a fault of dlcli: it is told as one, with what a report of it needs
            if _is_usage_error(error):
                raise
            _report_fault(screen, error)
            raise typer.Exit(1) from error
        finally:
            screen.restore()


def _loaded(name: str) -> Any:
    own = f"{name}_" if iskeyword(name) else name
    found = getattr(import_module(f"dlcli.cli.{own}"), own)
    if isinstance(found, typer.Typer):
        group = typer.main.get_command(found)
        group.name = name  # or the help shows none
        return group
    alone = typer.Typer(add_completion=False)
    alone.command(name)(found)
    return typer.main.get_command(alone)


def _is_usage_error(error: Exception) -> bool:
    # Typer 0.29 carries its own click, so its exceptions are known by what they do, not by the click package's class.
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def _report_fault(screen: Screen, error: Exception) -> None:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="dlcli-fault-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write(f"dlcli {__version__}, Python {sys.version}\n{' '.join(sys.argv)}\n\n")
        traceback.print_exception(error, file=file)
        if screen.log_path is not None and screen.log_path.exists():
            file.write(screen.log_path.read_text(encoding="utf-8", errors="replace"))
    first_line = str(error).split("\n")[0]
    message = f"This is a fault of dlcli's own: {type(error).__name__}: {first_line}"
    screen.error(DlcliError(message, f"Details are in {file.name}; please report them."))


app = typer.Typer(
    cls=_Commands,
    name="dlcli",
    help="Train and evaluate deep-learning models described in YAML.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"dlcli {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Train and evaluate deep-learning models described in YAML."""
