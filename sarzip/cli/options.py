"""Options that several commands share, defined once."""

from __future__ import annotations

from typing import Annotated

import typer

Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Threads = Annotated[int, typer.Option("--threads", metavar="N", help="Threads; 0 for all cores.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an output that exists.")]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
ForeignModel = Annotated[
    str | None,
    typer.Option("--model", metavar="PATH", help="Folder of the model, when it is not a released one."),
]
TrustModel = Annotated[
    bool,
    typer.Option("--trust-model", help="Take --model even if it is not the one the file names."),
]
