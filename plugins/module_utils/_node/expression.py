# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""An Elixir expression of a person: evaluated in the node that runs, or in a VM of its own by the release's `eval`.

Both evaluate one constant text, EVALUATOR, which gets the expression as data. So the expression is in no argument list and in no log, and no module is
loaded for it. Nothing of it stays in the node: it runs in a process of its own, which is gone with its answer or is killed when its time is up.
"""

from __future__ import annotations

import base64
import os
import re
import stat
import tempfile
import time
import typing as t
from dataclasses import dataclass

from .._errors import BeamError
from .._json import parse_json
from .._mask import Mask
from .._tree import remove_quietly
from . import etf
from .ask import connect
from .process import NodeProcess
from .release_eval import await_end, begin
from .surroundings import Surroundings
from .target import Target

MOST = 4 << 20  # bytes of an answer
_LITERAL = re.compile(r"\"((?:[^\"\\]|\\.){4,})\"|'((?:[^'\\]|\\.){4,})'")
# What it prints comes back with its value, as a release's own `rpc` has it, and not into the log of the node. What can't be compiled is not logged by the
# compiler either, where Elixir can be told so (1.15): the log would show the line.
EVALUATOR = r"""
(fn ->
   cut = fn text -> if byte_size(text) > 1_000_000, do: binary_part(text, 0, 1_000_000), else: text end
   refusals = [SyntaxError, TokenMissingError, MismatchedDelimiterError, CompileError]
   own = fn stack -> Enum.take_while(stack, fn frame -> elem(frame, 0) not in [:erl_eval, :elixir] end) end

   run = fn ->
     try do
       {value, _binding} = Code.eval_string(expression, [], file: "expression")
       {:ok, inspect(value, pretty: true, limit: 1000, printable_limit: 100_000, width: 100)}
     catch
       :error, %{__struct__: kind, description: description, line: line} = error ->
         if kind in refusals do
           {:refused, "** (#{inspect(kind)}) line #{line || 1}: #{description}"}
         else
           {:error, Exception.format(:error, error, own.(__STACKTRACE__))}
         end

       kind, reason ->
         {:error, Exception.format(kind, reason, own.(__STACKTRACE__))}
     end
   end

   evaluate = fn ->
     {:ok, io} = StringIO.open("")
     Process.group_leader(self(), io)

     {{verdict, text}, notes} =
       if function_exported?(Code, :with_diagnostics, 1) do
         {answer, diagnostics} = apply(Code, :with_diagnostics, [run])
         {answer, for(one <- diagnostics, do: one.message)}
       else
         {run.(), []}
       end

     {:ok, {_input, output}} = StringIO.close(io)
     exit({:evaluated, verdict, cut.(text), cut.(Enum.join(notes, "\n")), cut.(output)})
   end

   {pid, ref} = spawn_monitor(evaluate)

   receive do
     {:DOWN, ^ref, :process, ^pid, {:evaluated, verdict, text, notes, output}} -> {verdict, text, notes, output}
     {:DOWN, ^ref, :process, ^pid, reason} -> {:error, cut.("** (exit) " <> Exception.format_exit(reason)), "", ""}
   after
     limit ->
       Process.demonitor(ref, [:flush])
       Process.exit(pid, :kill)
       {:late, "", "", ""}
   end
 end).()
"""


@dataclass(frozen=True)
class Answer:
    """verdict: ok, error (it raised), refused (it is no Elixir), late. text: the value as Elixir writes it, or what was raised."""

    verdict: str
    text: str
    notes: str = ""
    output: str = ""

    def lines(self, text: str, mask: Mask) -> list[str]:
        return mask.lines(line.rstrip() for line in text.splitlines()) if text.strip() else []


@dataclass(frozen=True)
class Expression:
    """where: what evaluates it, for messages, such as `node shop@127.0.0.1`."""

    text: str
    timeout: float
    mask: Mask
    where: str

    def check(self) -> Expression:
        if not self.text.strip():
            raise BeamError(
                "expression_missing",
                "Nothing can be run",
                "the expression is empty",
                "Give one, as -e beam_expression=",
            )
        if self.timeout <= 0:
            raise BeamError(
                "timeout_invalid", "Nothing can be run", "the timeout is %g seconds" % self.timeout, "Give more than 0"
            )
        return self

    def result(self, answer: Answer) -> dict[str, t.Any]:
        """What a module returns, or the failure that it was."""
        printed = answer.lines(answer.output, self.mask)
        if answer.verdict == "ok":
            return {"value": "\n".join(answer.lines(answer.text, self.mask)), "printed": printed}
        if answer.verdict == "late":
            raise BeamError(
                "expression_late",
                "The expression did not end in %s" % self.where,
                "it ran for %g s, and was killed" % self.timeout,
                "Give it more time (in a playbook -e beam_timeout=); what it has done so far is done",
            )
        mask = self.mask.also(*literals(self.text)) if answer.verdict == "refused" else self.mask
        said = [*printed, *answer.lines(answer.text, mask), *answer.lines(answer.notes, mask)]
        first = next(iter(answer.lines(answer.text, mask)), "it said nothing")
        code, what = (
            ("expression_invalid", "The expression can't be compiled in %s")
            if answer.verdict == "refused"
            else ("expression_raised", "The expression failed in %s")
        )
        raise BeamError(code, what % self.where, first, "Correct it; what it has done so far is done", output=said[1:])


def literals(expression: str) -> list[str]:
    """The texts in it, which may be secret: what says that it can't be compiled would repeat them."""
    return [found for pair in _LITERAL.findall(expression) for found in pair if found]


def in_node(process: NodeProcess, expression: Expression) -> dict[str, t.Any]:
    """rpc: by the distribution, as a hidden node."""
    begun = time.monotonic()
    binding = [
        (etf.Atom("expression"), expression.text.encode("utf-8")),
        (etf.Atom("limit"), int(expression.timeout * 1000)),
    ]
    with connect(process, min(expression.timeout, 10.0)) as connection:
        # Some more than it gives itself: that it was late is for the node to say.
        said = connection.call(
            "Elixir.Code", "eval_string", EVALUATOR.encode("utf-8"), binding, timeout=expression.timeout + 5
        )
    return {**expression.result(read_term(said)), "seconds": round(time.monotonic() - begun, 3)}


def read_term(said: t.Any) -> Answer:
    """What eval_string returns: the value, and the binding."""
    try:
        (verdict, text, notes, output), _binding = said
        return Answer(str(verdict), etf.text(text), etf.text(notes), etf.text(output))
    except (TypeError, ValueError) as exc:
        raise BeamError(
            "expression_answer_strange",
            "The answer of the node can't be read",
            str(exc),
            "See that it runs Elixir 1.12 or later",
        ) from None


# By `bin/NAME eval`: the argument is this constant. The files are in a directory of the command's own.
_CALL = 'Code.eval_file(Path.join(System.fetch_env!("RELEASE_TMP"), "evaluate.exs"))'
_AROUND = r"""
directory = System.fetch_env!("RELEASE_TMP")
expression = File.read!(Path.join(directory, "expression"))
limit = %d
answer =
%s
bytes = fn text -> Base.encode64(text) end
{verdict, text, notes, output} = answer
File.write!(Path.join(directory, "answer"), ~s(["#{verdict}","#{bytes.(text)}","#{bytes.(notes)}","#{bytes.(output)}"]))
"""
_TAIL = 64 * 1024
_BOOT = 60.0  # seconds that a VM may take beside the expression


def in_release(target: Target, around: Surroundings, expression: Expression) -> dict[str, t.Any]:
    """eval: in a VM of its own without distribution, with the environment and the user of the node."""
    begun = time.monotonic()
    temporary = around.temporary()
    try:
        _write(around, temporary, "expression", expression.text.encode("utf-8"))
        script = _AROUND % (int(expression.timeout * 1000), EVALUATOR.strip())
        _write(around, temporary, "evaluate.exs", script.encode("utf-8"))
        code, log = _run(target, around, temporary, expression.timeout + _BOOT)
        answer = _read(temporary)
    finally:
        left = remove_quietly(temporary)
    if answer is None:
        how = "it did not end in time, and was killed" if code is None else "exit status %d" % code
        raise BeamError(
            "expression_unanswered",
            "The expression could not be evaluated in %s" % expression.where,
            how,
            "See what the command said, which follows",
            output=expression.mask.lines(line.rstrip() for line in log.splitlines() if line.strip())[-20:],
        )
    found = expression.result(answer)
    notes = ["A directory of the command could not be removed: %s" % "; ".join(left[:5])] if left else []
    return {**found, "seconds": round(time.monotonic() - begun, 3), **({"warnings": notes} if notes else {})}


def command(target: Target) -> list[str]:
    return [target.launcher, "eval", _CALL]


def _write(around: Surroundings, directory: str, name: str, data: bytes) -> None:
    path = os.path.join(directory, name)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        hint = "Look at what runs as %s on this server: it has put something there" % around.user.pw_name
        raise BeamError("scratch_denied", "%s can't be made" % path, exc.strerror or str(exc), hint) from None
    with open(handle, "wb") as stream:
        stream.write(data)
        if os.geteuid() == 0:
            os.fchown(stream.fileno(), around.user.pw_uid, around.group)


def _run(target: Target, around: Surroundings, temporary: str, timeout: float) -> tuple[t.Optional[int], str]:
    """Its exit status, None where it was killed, and what it printed beside the answer."""
    with tempfile.TemporaryFile() as log:  # of no name: nobody else reads it
        try:
            child = begin(target, around, _CALL, temporary, log)
        except OSError as exc:
            raise BeamError(
                "expression_unanswered",
                "Cannot start %s" % target.launcher,
                exc.strerror or str(exc),
                "Install the release again",
            ) from None
        code = await_end(child, timeout, "RELEASE_TMP=" + temporary)
        log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL))
        return code, log.read(_TAIL).decode("utf-8", "replace")


def _read(temporary: str) -> t.Optional[Answer]:
    """What the command left there; None where it left nothing that can be read. The directory is the node's user's, so it may be anything."""
    try:
        handle = os.open(os.path.join(temporary, "answer"), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as stream:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            verdict, *texts = parse_json(stream.read(2 * MOST))
        text, notes, output = (base64.b64decode(one).decode("utf-8", "replace") for one in texts)
        return Answer(str(verdict), text, notes, output)
    except (OSError, ValueError, TypeError):
        return None
