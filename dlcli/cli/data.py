"""`dlcli data`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli import options

if TYPE_CHECKING:
    from dlcli.console import Screen
    from dlcli.data.dataset import Array
    from dlcli.data.loading import Data
    from dlcli.data.where import Where
    from dlcli.spec.loading import LoadedSpec


def data(
    context: typer.Context,
    config: Annotated[
        Path, typer.Argument(help="A YAML file (`./fetch`, if it is called `fetch`).", show_default=False)
    ],
    batch: Annotated[
        bool, typer.Option("--batch", help="Show a batch as the model gets it, too; this starts TensorFlow.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw examples with their labels, or a table's columns.")
    ] = None,
    set_: options.Set = None,
    fold: options.Fold = None,
    data_dir: options.DataDir = None,
    no_fallback: options.NoFallback = False,
    trust_code: options.TrustCode = False,
    json: options.Json = False,
) -> None:
    """Show what a model will get: `dlcli data configs/penguins.yaml --plot penguins.png`.

    `dlcli data fetch` downloads a data set of Keras's; see `dlcli data fetch --help`.
    """
    screen: Screen = context.obj
    screen.trusts_code = trust_code
    options.check_picture(plot)
    look = options.looker(screen, data_dir)
    loaded = options.load(screen, config, set_, options.of_fold(fold), quiet=True, look=look)

    from dlcli.data.loading import load_data, sizes_of_folds
    from dlcli.data.where import Where
    from dlcli.describing.describing import describe

    where = Where(data_dir, not no_fallback, screen.message, screen.message, trusts_code=trust_code)
    dataset, splits = found = loaded.data.pop() if loaded.data else load_data(loaded, where)
    prepared = _prepared(screen, loaded, found) if batch else None
    summary = describe(loaded, dataset, splits, where, prepared, sizes_of_folds(loaded, where))
    if json:
        from dlcli.files import to_json

        screen.out.print(to_json(summary.as_json()), soft_wrap=True, markup=False)
    else:
        from dlcli.cli.data_tables import show_data

        show_data(screen, summary)
    if plot is not None:
        _draw(screen, loaded, found, where, plot)


def _prepared(screen: Screen, loaded: LoadedSpec, found: Data) -> dict[str, Array]:
    screen.divert()

    from dlcli.training.backend import start_backend

    start_backend("cpu")

    from dlcli.describing.prepared import first_batch

    return first_batch(loaded, *found)


def _draw(screen: Screen, loaded: LoadedSpec, found: Data, where: Where, plot: Path) -> None:
    screen.divert()  # matplotlib tells of the fonts that it looks for

    from dlcli.describing.pictures import draw

    draw(loaded, *found, where, plot)
    screen.message(f"picture: {plot}")
