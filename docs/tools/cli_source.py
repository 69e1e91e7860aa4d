"""Reads the command line from core/cli: commands, their options, the topics of help. The tables in C are the one source of these texts."""
import os
import re

TOKEN = re.compile(r"""
    \s+ | /\*.*?\*/ | //[^\n]*
  | (?P<string> "(?:\\.|[^"\\])*" )
  | (?P<char> '(?:\\.|[^'\\])' )
  | (?P<number> \d+ )
  | (?P<name> [A-Za-z_]\w* )
  | (?P<symbol> \#\# | [^\s] )
""", re.X | re.S)
ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "'": "'"}


class Option:
    def __init__(self, letter, name, kind, value, text):
        self.letter, self.name, self.kind, self.value, self.text = letter, name, kind, value, text

    def words(self):
        """"-o, --output FILE" """
        return "%s--%s%s" % ("-%s, " % self.letter if self.letter else "", self.name, " " + self.value if self.value else "")


class Command:
    def __init__(self, name, words, summary, options, more):
        self.name, self.words, self.summary, self.options, self.more = name, words, summary, options, more or ""


class Topic:
    def __init__(self, name, summary, text):
        self.name, self.summary, self.text = name, summary, text

    def rows(self):
        """The lines "  NAME   meaning" of its text."""
        return [match.groups() for match in re.finditer(r"^  (\S(?:.*?\S)?)(?: {2,})(\S.*)$", self.text, re.M)]

    def rest(self):
        """Its other lines."""
        return [line for line in self.text.split("\n") if line and not re.match(r"^  \S(?:.*?\S)? {2,}\S", line)]


def tokens_of(text):
    return [(match.lastgroup, match.group()) for match in TOKEN.finditer(text) if match.lastgroup]


def split_list(tokens):
    """Token lists between the commas of the top level of what stands in brackets."""
    parts, part, depth = [], [], 0
    for token in tokens:
        if token[1] in "({[" and token[0] == "symbol":
            depth += 1
        elif token[1] in ")}]" and token[0] == "symbol":
            depth -= 1
        if token == ("symbol", ",") and depth == 0:
            parts.append(part)
            part = []
        else:
            part.append(token)
    return parts + [part] if part else parts


def closing(tokens, at):
    depth = 0
    for index in range(at, len(tokens)):
        if tokens[index][0] == "symbol":
            depth += (tokens[index][1] in "({[") - (tokens[index][1] in ")}]")
            if depth == 0:
                return index
    raise ValueError("a bracket is not closed")


def text_of(tokens):
    """The text of adjacent string literals; None for NULL, "" for a missing member."""
    if not tokens or tokens[0][1] in ("NULL", "0"):
        return None
    if any(kind != "string" for kind, _ in tokens):
        raise ValueError("not a text: " + " ".join(text for _, text in tokens))
    return "".join(re.sub(r"\\(.)", lambda match: ESCAPES[match.group(1)], text[1:-1]) for _, text in tokens)


class CommandLine:
    """Everything that `quern help` tells."""

    def __init__(self, root, replace=None):
        self.root, self.replace, self.macros = root, replace or {}, {}
        folder = os.path.join(root, "core/cli")
        names = sorted(name for name in os.listdir(folder) if name.startswith("cmd_") and name.endswith(".c"))
        self._read_macros(self._text("core/cli/cli.h"))
        commands = {}
        self.topics = []
        for name in names:
            text = self._text("core/cli/" + name)
            self._read_macros(text)
            tokens = tokens_of(re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*$", "", text, flags=re.M))
            tables = self._tables(tokens)
            for variable, command in self._commands(tokens, tables):
                commands[variable] = command
            self.topics += self._topics(tokens)
        order = re.search(r"cli_commands\[\] = \{(.*?)\}", self._text("core/cli/main.c"), re.S).group(1)
        self.commands = [commands[name] for name in re.findall(r"&(\w+)", order)]

    def command(self, name):
        return next((command for command in self.commands if command.name == name), None)

    def topic(self, name):
        return next((topic for topic in self.topics if topic.name == name), None)

    def _text(self, path):
        if path in self.replace:
            return self.replace[path]
        with open(os.path.join(self.root, path), encoding="utf-8") as file:
            return file.read()

    def _read_macros(self, text):
        for name, params, body in re.findall(r"^#define (\w+)(\([^)]*\))?((?:[^\n]*\\\n)*[^\n]*)$", text, re.M):
            self.macros[name] = ([word.strip() for word in params.strip("()").split(",")] if params else None,
                                 tokens_of(body.replace("\\\n", "\n")))

    def _expand(self, tokens):
        """A list of initialisers with macros replaced, once."""
        out, at = [], 0
        while at < len(tokens):
            kind, text = tokens[at]
            if kind == "name" and text in self.macros:
                params, body = self.macros[text]
                if params is None:
                    out += self._expand(body)
                    at += 1
                    continue
                end = closing(tokens, at + 1)
                given = dict(zip(params, split_list(tokens[at + 2:end])))
                out += self._expand([piece for token in body for piece in given.get(token[1], [token])])
                at = end + 1
                continue
            out.append(tokens[at])
            at += 1
        return out

    def _tables(self, tokens):
        """Arrays of struct cli_option, by name."""
        tables = {}
        for at in range(len(tokens) - 6):
            if [token[1] for token in tokens[at:at + 2]] == ["struct", "cli_option"] and tokens[at + 3][1] == "[":
                start = at + 6
                entries = split_list(self._expand(tokens[start + 1:closing(tokens, start)]))
                tables[tokens[at + 2][1]] = [self._option(split_list(entry[1:-1])) for entry in entries
                                             if [token[1] for token in entry] not in (["{", "0", "}"], ["{", "}"])]
        return tables

    @staticmethod
    def _option(parts):
        letter = parts[0][0][1]
        return Option("" if letter == "0" else letter.strip("'"), text_of(parts[1]), parts[2][0][1], text_of(parts[3]), text_of(parts[6]))

    @staticmethod
    def _commands(tokens, tables):
        for at in range(len(tokens) - 5):
            if [token[1] for token in tokens[at:at + 2]] != ["struct", "cli_command"] or tokens[at + 3][1] != "=":
                continue
            members = {}
            for part in split_list(tokens[at + 5:closing(tokens, at + 4)]):
                members[part[1][1]] = part[3:]
            yield tokens[at + 2][1], Command(text_of(members["name"]), text_of(members["words"]), text_of(members["summary"]),
                                             tables[members["options"][0][1]], text_of(members.get("more", [])))

    @staticmethod
    def _topics(tokens):
        topics = []
        for at in range(len(tokens) - 3):
            if [token[1] for token in tokens[at:at + 3]] == ["topics", "[", "]"] and tokens[at + 3][1] == "=":
                for entry in split_list(tokens[at + 5:closing(tokens, at + 4)]):
                    topics.append(Topic(*[text_of(part) for part in split_list(entry[1:-1])]))
        return topics
