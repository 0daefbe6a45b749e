"""The commands, registered so that only the one that was asked for is built."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import impasto
from impasto import jobs
from impasto.cli import derive, errors
from impasto.cli.interrupts import Interrupts
from impasto.cli.session import FLAGS, Session, split
from impasto.errors import UsageError
from impasto.registry import Registry
from impasto.specs import OutputSpec

if TYPE_CHECKING:
    from cyclopts import App, CycloptsError

#: Commands that are not jobs: name to ``module:function``. The function takes the session first.
#: A name of two words is a command of a group.
COMMANDS: Registry[str] = Registry("command")
COMMANDS.add("rerun", "impasto.cli.rerun:rerun")
COMMANDS.add("recipes", "impasto.cli.listings:recipes")
COMMANDS.add("backbones", "impasto.cli.listings:backbones")
COMMANDS.add("filters", "impasto.cli.listings:filters")
COMMANDS.add("export", "impasto.cli.export:export")
COMMANDS.add("models", "impasto.cli.listings:models")
COMMANDS.add("samples", "impasto.cli.samples:samples")
COMMANDS.add("weights list", "impasto.cli.weights:list_")
COMMANDS.add("weights fetch", "impasto.cli.weights:fetch")
COMMANDS.add("weights convert", "impasto.cli.weights:convert")
COMMANDS.add("weights verify", "impasto.cli.weights:verify")
COMMANDS.add("weights path", "impasto.cli.weights:path")
COMMANDS.add("weights normalize", "impasto.cli.weights:normalize")
COMMANDS.add("studio", "impasto.cli.studio:studio")
COMMANDS.add("doctor", "impasto.cli.doctor:doctor")

#: Groups of commands, with their help.
GROUPS = {"weights": "Weights of networks: list, fetch, convert, verify, path, normalize."}

Values = dict[str, Any]


def run(argv: Sequence[str], interrupts: Interrupts) -> int:
    """Run one command line; returns the exit code, errors printed."""
    tokens, flags = split(argv)
    session = Session(interrupts, **flags)
    try:
        dispatch(tokens, session)
    except BaseException as error:
        return errors.report(error, session)
    return 0


def dispatch(tokens: Sequence[str], session: Session) -> None:
    """Find the command, parse its arguments, run it.

    Raises:
        UsageError: The command line makes no sense.
        ImpastoError: The command failed.
    """
    from cyclopts import CycloptsError

    names = [*jobs.VERBS.names(), *COMMANDS.names()]
    name = command_name(tokens, names)
    group = [n for n in names if name and n.startswith(f"{name} ")]
    app = build([name] if name in names else group or names, session)
    if name in names and not {"--help", "-h"}.isdisjoint(tokens):
        app.help_print(name.split())  # without parsing the rest first: a tenth faster
        return
    if name in jobs.VERBS:
        tokens = [name, *derive.regrouped(tokens[1:], verb_options(name))]
    try:
        app(tokens, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise usage_error(error, name if name in names or group else "") from None


def command_name(tokens: Sequence[str], names: Sequence[str]) -> str:
    """The command or group that ``tokens`` begin with."""
    pair = " ".join(tokens[:2])
    return pair if pair in names else tokens[0] if tokens else ""


def build(names: Sequence[str], session: Session) -> App:
    """The application with the commands ``names``."""
    from cyclopts import App

    app = App(
        name="impasto",
        help="Neural style transfer and its family: a photo and a painting in, a picture out.",
        help_format="plaintext",
        version=f"impasto {impasto.__version__}",
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    for place, name in enumerate(names):
        command = verb(name, session) if name in jobs.VERBS else plain(name, session)
        group, _, last = name.rpartition(" ")
        if group and group not in app:
            about = GROUPS[group]
            app.command(App(name=group, help=about, help_format="plaintext", sort_key=place))
        (app[group] if group else app).command(command, name=last, sort_key=place)
    return app


def verb_options(name: str) -> list[derive.Option]:
    """All options of a verb, its own first, then those of the output."""
    return derive.options(jobs.spec_type(name)) + output_options(name)


def output_options(name: str) -> list[derive.Option]:
    """Those of the output that a verb knows."""
    without = jobs.spec_type(name).without
    return [o for o in derive.options(OutputSpec) if o.field not in without]


def verb(name: str, session: Session) -> Callable[..., None]:
    """The command of a verb, with a signature made from its spec."""
    own, output = derive.options(jobs.spec_type(name)), output_options(name)
    positional = [o for o in own if o.place]

    def command(*args: str, **options: Any) -> None:
        from impasto.cli.verbs import run_verb

        values = _positional(positional, args) | {k: v for k, v in options.items() if v}
        outputs = {o.field: values.pop(o.field) for o in output if o.field in values}
        run_verb(name, values, outputs, session)

    parameters = [_parameter(o) for o in positional]
    parameters += [_parameter(o, group="Options") for o in own if not o.place]
    parameters += [_parameter(o, group="Output", required=o.field == "output") for o in output]
    doc = inspect.cleandoc(jobs.spec_type(name).__doc__ or "").split("\n\n")[0]
    return _described(command, name, doc, parameters)


def plain(name: str, session: Session) -> Callable[..., None]:
    """A command that is a function: annotations and docstring are its interface."""
    function = jobs.imported(COMMANDS.get(name))
    doc = inspect.cleandoc(function.__doc__ or "")
    parameters = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

    def command(*args: Any, **options: Any) -> None:
        function(session, *args, **options)

    return _described(command, name, re.sub(r" +session: .*\n", "", doc), parameters)


def usage_error(error: CycloptsError, command: str) -> UsageError:
    """A parser's complaint as one of ours."""
    from cyclopts import (
        MissingArgumentError,
        UnknownCommandError,
        UnknownOptionError,
        UnusedCliTokensError,
    )

    error.verbose = False
    text, _, advice = str(error).strip().partition(" Did you mean ")
    where = f"impasto {command} --help" if command else "impasto --help"
    hint = f"did you mean {advice.rstrip('?')}?" if advice else f"{where} shows what there is"
    if isinstance(error, UnknownCommandError):
        text, hint = text.split(" Available commands")[0], hint.split("? ")[0].rstrip("?")
        hint = hint.replace('"', "") + ("?" if advice else "")
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        name = error.keyword or error.argument.name
        shown = name if name.startswith("-") else name.upper()
        text = f"{shown} needs a value" if error.keyword else f"{command} needs {shown}"
    elif isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        text = f"unexpected argument {error.unused_tokens[0]}"
    elif isinstance(error, UnknownOptionError):
        text = text.replace("Unknown option:", "unknown option")
    return UsageError(text[:1].lower() + text[1:].rstrip("."), hint=hint)


def _positional(known: Sequence[derive.Option], args: Sequence[str]) -> Values:
    values: Values = {}
    args = ["-" if token == derive.STDIN else token for token in args]
    for i, option in enumerate(known):
        values[option.field] = tuple(args[i:]) if option.many else args[i]
    return values


def _parameter(
    option: derive.Option, group: str | None = None, required: bool | None = None
) -> inspect.Parameter:
    from cyclopts import Parameter

    if option.place:
        kind = (
            inspect.Parameter.VAR_POSITIONAL if option.many else inspect.Parameter.POSITIONAL_ONLY
        )
        about = Parameter(help=option.text(), required=option.required, negative="")
        return inspect.Parameter(option.field, kind, annotation=Annotated[str, about])
    about = Parameter(
        name=option.flags,
        help=option.text(),
        group=group,
        negative="",
        show_default=False,
        required=required,
        metavar=_metavar(option),
        allow_leading_hyphen=False,
    )
    value: Any = bool if option.switch else list[str] if option.many else str
    default = inspect.Parameter.empty if required else False if option.switch else None
    annotation: Any = Annotated[value if default is not None else value | None, about]
    return inspect.Parameter(
        option.field, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _metavar(option: derive.Option) -> str | None:
    if option.switch:
        return None
    return "N" if option.numeric else option.field.rsplit("_", 1)[-1].upper()


def _session_parameters() -> list[inspect.Parameter]:
    """For the help only; :func:`impasto.cli.session.split` has taken them out already."""
    from cyclopts import Parameter

    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=False,
            annotation=Annotated[
                bool, Parameter(help=text, group="Session", negative="", show_default=False)
            ],
        )
        for name, text in FLAGS.items()
    ]


def _described(
    command: Callable[..., None], name: str, doc: str, parameters: list[inspect.Parameter]
) -> Callable[..., None]:
    """``command`` with the name, help and signature that the parser reads."""
    every = parameters + _session_parameters()

    def called(*args: Any, **options: Any) -> None:
        command(*args, **{k: v for k, v in options.items() if k not in FLAGS})

    called.__name__ = name
    called.__doc__ = doc
    called.__annotations__ = {p.name: p.annotation for p in every}
    called.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
    return called
