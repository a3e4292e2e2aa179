"""The command line of the demonstration."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sknn_scratch.demonstration.experiments import (
    DATASETS,
    SEARCHED,
    Result,
    XorRun,
    compare,
    load_table,
    print_heading_of_tables,
    print_notes_on_tables,
    print_numbers,
    print_search,
    print_table,
    print_xor,
    run_search,
    train_xor,
)
from sknn_scratch.demonstration.pictures import PICTURES, save_pictures

#: Default name of the page.
PAGE = "xor.html"


def write_page(run: XorRun, path: Path | None) -> Path:
    """Write the page of XOR; without a path, into a new folder for temporary files."""
    if path is None:
        path = Path(tempfile.mkdtemp(prefix="sknn_scratch-")) / PAGE
    names = ["first input", "second input", "always 1"]
    title = "A network with four hidden units learns XOR"
    return run.recorder.to_html(path, title=title, feature_names=names)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; arguments that cannot work end the program with exit code 2."""
    parser = argparse.ArgumentParser(
        prog="python -m sknn_scratch",
        description="Train the tutorial post's network on XOR, compare ScratchMLPClassifier with "
        "scikit-learn's MLPClassifier on tables as they come, search, and write a page on which "
        "one watches the network of XOR learn.",
    )
    parser.add_argument(
        "--dataset",
        choices=DATASETS,
        help="one table to compare and to search on (default: all to compare, "
        f"{SEARCHED} to search on)",
    )
    parser.add_argument(
        "--page",
        metavar="PATH",
        type=Path,
        help=f"where to write the page (default: {PAGE} in a new temporary folder)",
    )
    parser.add_argument(
        "--plots",
        metavar="DIR",
        type=Path,
        help=f"write {', '.join(PICTURES)} into this folder, which is made if its parent exists; "
        "needs matplotlib",
    )
    parser.add_argument(
        "--seed",
        type=seed_number,
        default=0,
        help="number from 0 to 2**32 - 1 that all randomness comes from (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)
    if arguments.page is not None:
        try:
            check_page(arguments.page)
        except OSError as error:
            parser.error(f"argument --page: {error}")
    if arguments.plots is not None:
        try:
            check_plots(arguments.plots)
        except (ImportError, OSError) as error:
            parser.error(f"argument --plots: {error}")
    return arguments


def seed_number(text: str) -> int:
    """Convert a command-line argument to a seed."""
    seed = int(text)
    if not 0 <= seed < 2**32:
        raise argparse.ArgumentTypeError(f"{seed} is not between 0 and 2**32 - 1")
    return seed


def check_page(path: Path) -> None:
    """Raise an OSError if the page cannot be written to this file."""
    if path.is_dir():
        raise OSError(f"{path} is a folder. Name a file.")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        parent_exists = path.parent.exists()
        reason = error.strerror if parent_exists else f"{path.parent} does not exist"
        raise OSError(f"cannot write to {path}: {reason}.") from error


def check_plots(directory: Path) -> None:
    """Check that pictures can be drawn and written; make the directory if it does not exist.

    Raises
    ------
    ImportError
        If matplotlib cannot be imported.
    OSError
        If the directory cannot be made or written to.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"pictures need matplotlib ({error}). "
            'In the folder of the project, run: python -m pip install ".[plot]"'
        ) from error
    try:
        directory.mkdir(exist_ok=True)
        # Permission bits do not tell of a read-only disk: try to write.
        with tempfile.TemporaryFile(dir=directory):
            pass
    except FileExistsError as error:
        raise OSError(f"{directory} is a file. Name a folder.") from error
    except OSError as error:
        parent_exists = directory.parent.exists()
        reason = error.strerror if parent_exists else f"{directory.parent} does not exist"
        raise OSError(f"cannot write to {directory}: {reason}.") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demonstration.

    Parameters
    ----------
    argv : sequence of str, default=None
        Command-line arguments; by default those of the program.

    Returns
    -------
    code : int
        0. Arguments that cannot work raise SystemExit with code 2 instead, as argparse does.
    """
    arguments = parse_arguments(argv)
    run = train_xor(arguments.seed)
    print_xor(run)
    print()
    print_heading_of_tables()
    results: list[Result] = []
    for name in [arguments.dataset] if arguments.dataset else DATASETS:
        results += compare(load_table(name), arguments.seed)
        print_table([one for one in results if one.table == name])
    print_notes_on_tables(results)
    print()
    table = load_table(arguments.dataset or SEARCHED)
    reports = [run_search(table, arguments.seed, stacked=stacked) for stacked in (False, True)]
    print_search(table, reports)
    print()
    print_numbers(arguments.seed)
    print()
    page = write_page(run, arguments.page)
    print("5. A page on which the network of XOR learns. Open it in a browser:")
    print()
    print(f"   {page}")
    if arguments.plots is not None:
        save_pictures(arguments.plots, run, results, table, reports)
    return 0
