"""Printing as Go's `fmt` does it, letter by letter: `print`, `println`, `printf` with all its flags and complaints.

Pure functions of values (`values.py`), used by the runner and the functions of templates.
"""

from dataclasses import replace
from typing import Any

from supervisor.rules.templates.goshow import LONGEST, PLAIN, Spec, bounded, shown, structure, typed
from supervisor.rules.templates.values import Failure, Series

_WIDEST = 1_000_000
_FLAGS = {"#": "sharp", "0": "zero", "+": "plus", "-": "minus", " ": "space"}


def show(value: Any) -> str:
    """Any value as `{{ . }}` prints it."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<no value>"
    if isinstance(value, Series):  # a pointer: it is followed once, as the runner of templates does
        return structure(value, "v", PLAIN)
    return shown(value, "v", PLAIN)


def sprint(*args: Any) -> str:
    """Go's Sprint: values side by side, with a space between two that are no strings."""
    out: list[str] = []
    for index, arg in enumerate(args):
        if index and not isinstance(arg, str) and not isinstance(args[index - 1], str):
            out.append(" ")
        out.append(shown(arg, "v", PLAIN))
    return bounded("".join(out))


def sprintln(*args: Any) -> str:
    """Go's Sprintln: values with a space between any two, and the end of the line."""
    return bounded(" ".join(shown(arg, "v", PLAIN) for arg in args) + "\n")


def sprintf(form: str, *args: Any) -> str:
    """Go's Sprintf, with its words for what is wrong: `%!d(string=x)`, `%!s(MISSING)`, `%!(EXTRA int=1)`."""
    return _Printer(form, args).run()


class _Printer:
    """Walks along one format."""

    def __init__(self, form: str, args: tuple[Any, ...]) -> None:
        self.form, self.args = form, args
        self.at = 0
        """in the format"""
        self.arg = 0
        """the next argument"""
        self.size = 0
        self.out: list[str] = []
        self.reordered = self.after_index = False
        self.good = True

    def put(self, text: str) -> None:
        self.out.append(text)
        self.size += len(text)
        if self.size > LONGEST:
            raise Failure(f"the text is longer than {LONGEST} characters")

    def run(self) -> str:
        end = len(self.form)
        while self.at < end:
            percent = self.form.find("%", self.at)
            self.put(self.form[self.at : percent if percent >= 0 else end])
            if percent < 0:
                break
            self.at = percent + 1
            self.directive()
        if not self.reordered and self.arg < len(self.args):
            extra = ", ".join(typed(arg) for arg in self.args[self.arg :])
            self.put(f"%!(EXTRA {extra})")
        return "".join(self.out)

    def directive(self) -> None:
        self.good, self.after_index = True, False
        flags: dict[str, bool] = {}
        while (letter := self.peek()) in _FLAGS and letter:
            flags[_FLAGS[letter]] = True
            self.at += 1
        spec = Spec(**flags)
        self.index()
        spec = self.width(spec)
        spec = self.precision(spec)
        if not self.after_index:
            self.index()
        verb = self.peek()
        if not verb:
            self.put("%!(NOVERB)")
            return
        self.at += 1
        if verb == "%":
            self.put("%")
        elif not self.good:
            self.put(f"%!{verb}(BADINDEX)")
        elif self.arg >= len(self.args):
            self.put(f"%!{verb}(MISSING)")
        else:
            if verb == "v":
                spec = replace(spec, go=spec.sharp, sharp=False, names=spec.plus, plus=False)
            value = self.args[self.arg]
            self.arg += 1
            self.put(shown(value, verb, spec))

    def peek(self) -> str:
        return self.form[self.at : self.at + 1]

    def number(self) -> int | None:
        start = self.at
        while "0" <= self.peek() <= "9":
            self.at += 1
        digits = self.form[start : self.at]
        if not digits:
            return None
        if len(digits) > 7:
            self.at = len(self.form)  # as Go does: nobody means this
            return None
        return int(digits)

    def index(self) -> None:
        """`[3]`: the argument to take next."""
        self.after_index = False
        if self.peek() != "[":
            return
        self.reordered = True
        close = self.form.find("]", self.at)
        if close < 0:
            self.good = False
            self.at += 1
            return
        digits = self.form[self.at + 1 : close]
        self.at = close + 1
        if not digits.isdecimal() or not digits.isascii() or len(digits) > 7:
            self.good = False
            return
        self.after_index = True
        if 1 <= int(digits) <= len(self.args):
            self.arg = int(digits) - 1
        else:
            self.good = False

    def width(self, spec: Spec) -> Spec:
        if self.peek() == "*":
            self.at += 1
            wide = self.star()
            self.after_index = False
            if wide is None:
                self.put("%!(BADWIDTH)")
            elif wide < 0:
                return replace(spec, width=-wide, minus=True, zero=False)
            return replace(spec, width=wide)
        wide = self.number()
        if self.after_index and wide is not None:
            self.good = False
        return replace(spec, width=wide)

    def precision(self, spec: Spec) -> Spec:
        if self.peek() != "." or self.at + 1 >= len(self.form):
            return spec
        self.at += 1
        if self.after_index:
            self.good = False
        self.index()
        if self.peek() == "*":
            self.at += 1
            digits = self.star()
            self.after_index = False
            if digits is None or digits < 0:
                self.put("%!(BADPREC)")
                return spec
            return replace(spec, precision=digits)
        return replace(spec, precision=self.number() or 0)

    def star(self) -> int | None:
        """The whole number that `*` stands for."""
        if self.arg >= len(self.args):
            return None
        value = self.args[self.arg]
        self.arg += 1
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _WIDEST:
            return None
        return int(value)
