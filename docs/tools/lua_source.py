"""Reads from a Lua source what its documentation needs: annotated functions and classes, and the specs of option tables.

It is no Lua parser. It knows the forms that lua/quern uses, and refuses (Unclear, with file and line) what it cannot read where it
has to know, so that nothing goes by unseen.
"""
import re

TOKEN = re.compile(r"""
    \s+ | --\[\[.*?\]\] | --[^\n]*
  | (?P<string> "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' )
  | (?P<number> 0x[0-9a-fA-F]+ | \d+(?:\.\d+)?(?:[eE][+-]?\d+)? )
  | (?P<name> [A-Za-z_]\w* )
  | (?P<symbol> \.\.\. | \.\. | == | ~= | <= | >= | // | :: | << | >> | [^\s] )
""", re.X | re.S)


class Unclear(Exception):
    """A form that this reader does not know, where it matters."""


class Expression(str):
    """A value that is computed: its text."""


def tokens_of(text):
    """Pairs of kind and text, without white space and comments."""
    return [(match.lastgroup, match.group()) for match in TOKEN.finditer(text) if match.lastgroup]


def closing(tokens, at):
    """The index of the bracket that closes the one at `at`."""
    depth = 0
    for index in range(at, len(tokens)):
        if tokens[index][1] in "([{" and tokens[index][0] == "symbol":
            depth += 1
        elif tokens[index][1] in ")]}" and tokens[index][0] == "symbol":
            depth -= 1
            if depth == 0:
                return index
    raise Unclear("a bracket is not closed")


def split_list(tokens):
    """Token lists between the commas (or semicolons) of the top level."""
    parts, part, depth = [], [], 0
    for kind, text in tokens:
        if kind == "symbol" and text in "([{":
            depth += 1
        elif kind == "symbol" and text in ")]}":
            depth -= 1
        if kind == "symbol" and text in ",;" and depth == 0:
            parts.append(part)
            part = []
        else:
            part.append((kind, text))
    if part:
        parts.append(part)
    return parts


def first_value(text):
    """The tokens of the value at the start of a text: a table to its bracket, a call to its bracket, else the rest of the line."""
    tokens = tokens_of(text)
    at = next((index for index, token in enumerate(tokens[:4]) if token[1] in ("{", "(")), None)
    if tokens[0][1] == "{" or (at and tokens[at][1] == "(" and tokens[0][0] == "name"):
        return tokens[:closing(tokens, at) + 1]
    return tokens_of(text.split("\n", 1)[0])


def value_of(tokens, names):
    """The value of a Lua expression: texts, numbers, booleans, tables, names that `names` (a function) knows, and
    options.extend(A, B). Anything else is an Expression, its text."""
    text = " ".join(token[1] for token in tokens)
    if len(tokens) == 1:
        kind, word = tokens[0]
        if kind == "string":
            return word[1:-1].replace('\\"', '"').replace("\\'", "'")
        if kind == "number":
            return float(word) if re.search(r"[.eE]", word) and not word.startswith("0x") else int(word, 0)
        if word in ("true", "false"):
            return word == "true"
        if kind == "name":
            found = names(word)
            return Expression(word) if found is None else value_of(found, names)
    if tokens and tokens[0][1] == "{" and closing(tokens, 0) == len(tokens) - 1:
        return table_of(tokens[1:-1], names)
    if [token[1] for token in tokens[:4]] == ["options", ".", "extend", "("] and closing(tokens, 3) == len(tokens) - 1:
        merged = {}
        for part in split_list(tokens[4:-1]):
            piece = value_of(part, names)
            if not isinstance(piece, dict):
                raise Unclear("options.extend takes tables written out or by name, not " + str(piece))
            merged.update(piece)
        return merged
    return Expression(text)


def table_of(tokens, names):
    table, position = {}, 0
    for part in split_list(tokens):
        if len(part) > 2 and part[0][0] == "name" and part[1][1] == "=":
            table[part[0][1]] = value_of(part[2:], names)
        elif part[0][1] == "[" and part[closing(part, 0) + 1][1] == "=":
            end = closing(part, 0)
            table[value_of(part[1:end], names)] = value_of(part[end + 2:], names)
        else:
            position += 1
            table[position] = value_of(part, names)
    return table


def read_type(text):
    """A LuaLS type at the start of a text, and what follows it."""
    depth, at = 0, 0
    while at < len(text):
        char = text[at]
        if char in "\"'":
            at = text.index(char, at + 1)
        elif char in "([{<":
            depth += 1
        elif char in ")]}>":
            depth -= 1
        elif char.isspace() and depth == 0:
            before, after = text[:at].rstrip(), text[at:].lstrip()
            if not before.endswith(("|", ":", ",")) and not after.startswith("|"):
                break
        at += 1
    return text[:at].strip(), text[at:]


def inline_fields(luatype):
    """The members of a type { a: T, b?: T }, as name to type ("T?" where optional), or None if it is another type."""
    options = re.match(r"^\{(.*)\}\??$", luatype.strip(), re.S)
    if not options:
        return None
    fields = {}
    for part in split_list_text(options.group(1)):
        match = re.match(r"^\s*\[?\"?(\w+)\"?\]?(\??)\s*:\s*(.*)$", part, re.S)
        if not match:
            return None
        fields[match.group(1)] = match.group(3).strip() + match.group(2)
    return fields


def alternatives(luatype):
    """The parts of a union type."""
    return [part.strip() for part in split_list_text(luatype, "|")]


def split_list_text(text, separator=","):
    parts, depth, start, quote = [], 0, 0, None
    for at, char in enumerate(text):
        if quote:
            quote = None if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "([{<":
            depth += 1
        elif char in ")]}>":
            depth -= 1
        elif char == separator and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    parts.append(text[start:])
    return [part for part in parts if part.strip()]


class Doc:
    """A block of `---` lines: free text, then tags; lines after a tag belong to it."""

    def __init__(self, lines):
        self.text, self.tags = [], []
        for line in lines:
            content = line[3:]
            tag = re.match(r"^\s*@(\w+)\s*(.*)$", content)
            if tag:
                self.tags.append([tag.group(1), tag.group(2)])
            elif self.tags:
                self.tags[-1][1] += "\n" + content.strip()
            else:
                self.text.append(content[1:] if content.startswith(" ") else content)

    def of(self, tag):
        return [rest for name, rest in self.tags if name == tag]

    def has(self, tag):
        return any(name == tag for name, _ in self.tags)

    def params(self):
        """name, type, optional, description of each @param."""
        for rest in self.of("param"):
            match = re.match(r"^(\.\.\.|[\w]+)(\??)\s+(.*)$", rest, re.S)
            if match:
                luatype, more = read_type(match.group(3))
                yield match.group(1), luatype, bool(match.group(2)) or luatype.endswith("?"), more.strip()
            else:
                yield rest.split()[0].rstrip("?") if rest.split() else "?", "", False, ""

    def returns(self):
        """type, name (or ""), description of each @return."""
        for rest in self.of("return"):
            luatype, more = read_type(rest)
            more = more.strip()
            match = re.match(r"^([A-Za-z_]\w*)(?:\s{2,}|$|\s*\n)(.*)$", more, re.S)
            if match:
                yield luatype, match.group(1), match.group(2).strip()
            else:
                yield luatype, "", more.lstrip("# ").strip()


class Class:
    """An annotated class: fields and, where a variable carries it, methods."""

    def __init__(self, name, about, where):
        self.name, self.about, self.where = name, about, where
        self.fields, self.methods, self.variable = [], [], None

    def field_docs(self):
        return {name: about for name, _, about in self.fields}

    def field_types(self):
        return {name: luatype for name, luatype, _ in self.fields}


class Function:
    def __init__(self, owner, name, args, doc, where, body, method=False):
        self.owner, self.name, self.args, self.doc, self.where, self.body, self.method = owner, name, args, doc, where, body, method


FUNCTION = re.compile(r"^function (\w+)([.:])(\w+)\((.*?)\)")
ASSIGNED = re.compile(r"^(\w+)\.(\w+) = (.*)$")
LOOPED = re.compile(r"^  (\w+)\[(\w+)\] = function\((.*?)\)")
MEMBER = re.compile(r"^  (\w+) = function\((.*?)\)")
LOCAL_FUNCTION = re.compile(r"^local function (\w+)\((.*?)\)")
LOCAL = re.compile(r"^local (\w+)(?:, [\w, ]+)? = ")


class Source:
    """One Lua file."""

    def __init__(self, path, text):
        self.path, self.text, self.lines = path, text, text.split("\n")
        self.classes, self.functions, self.locals, self.hidden = {}, [], {}, set()
        self.about = []
        self._read()
        strict = re.search(r"options\.strict\(\"[\w.]+\", M, (\{.*?\})\)", text, re.S)
        if strict:
            self.hidden = set(value_of(tokens_of(strict.group(1)), self.constant))

    def where(self, line):
        return "%s:%d" % (self.path, line + 1)

    def body(self, at):
        """Text of the function or statement that begins on a line: to the line that closes it, at the same indent."""
        indent = re.match(r"\s*", self.lines[at]).group()
        first = self.lines[at]
        opens = len(re.findall(r"\b(?:function|do|then)\b", first)) > len(re.findall(r"\bend\b", first))
        if not opens and len(re.findall(r"[({\[]", first)) <= len(re.findall(r"[)}\]]", first)):
            return first
        for end in range(at + 1, len(self.lines)):
            line = self.lines[end]
            if line.startswith(indent) and re.match(r"(end|\}|\))", line[len(indent):]):
                return "\n".join(self.lines[at:end + 1])
        raise Unclear("%s: no end of this function is found" % self.where(at))

    def constant(self, name):
        """The tokens of a file-level `local NAME = ...`, or None."""
        at = self.locals.get(name)
        if at is None:
            return None
        return first_value("\n".join(self.lines[at:]).split("=", 1)[1])

    def _read(self):
        block, owner, loop = [], None, ()
        for at, line in enumerate(self.lines):
            if line.strip().startswith("---") and not line.strip().startswith("----"):
                block.append((at, line.strip()))
                continue
            if block:
                owner = self._take(block, at, line, owner, loop)
            else:
                self._take([], at, line, owner, loop)
            block = []
            if LOCAL.match(line) and not LOCAL_FUNCTION.match(line):
                self.locals.setdefault(LOCAL.match(line).group(1), at)
            table = re.match(r"^M\.(\w+) = \{$", line)
            if table:
                owner = "M." + table.group(1)
            elif line == "}":
                owner = None
            looped = re.match(r"^for _, (\w+) in ipairs \{ (.*?) \} do", line)
            if looped:
                loop = (looped.group(1), re.findall(r"\"(\w+)\"", looped.group(2)))

    def _take(self, block, at, line, owner, loop):
        doc = Doc([text for _, text in block])
        if block and block[0][0] == 0 and not doc.has("meta"):
            self.about = doc.text
            cut = next((index for index, (tag, _) in enumerate(doc.tags) if tag == "class"), None)
            if cut is None:
                return owner
        if doc.has("class"):
            self._take_class(doc, at, line)
            return owner
        match = FUNCTION.match(line)
        if match:
            self._add(match.group(1), match.group(3), match.group(4), doc, at, match.group(2) == ":")
            return owner
        match = LOOPED.match(line)
        if match and loop and match.group(2) == loop[0]:
            for name in loop[1]:
                self._add(match.group(1), name, match.group(3), doc, at, False)
            return owner
        match = MEMBER.match(line)
        if match and owner:
            self._add(owner, match.group(1), match.group(2), doc, at, False)
            return owner
        match = ASSIGNED.match(line)
        if match and (block or re.match(r"function\(|\w+\(|\w+\.\w+[({ ]", match.group(3))):
            inner = re.match(r"function\((.*?)\)", match.group(3))
            self._add(match.group(1), match.group(2), inner.group(1) if inner else None, doc, at, False)
        return owner

    def _take_class(self, doc, at, line):
        current = None
        for tag, rest in doc.tags:
            if tag == "class":
                match = re.match(r"^(?:\(exact\)\s*)?([\w.]+)(?:\s*:\s*[\w.]+)?\s*(.*)$", rest, re.S)
                about = match.group(2).strip() or "\n".join(doc.text).strip()
                current = self.classes[match.group(1)] = Class(match.group(1), about, self.where(at))
            elif tag == "field" and current:
                match = re.match(r"^(?:(private|package|protected|public)\s+)?(\[[^\]]+\]|\w+)(\??)\s+(.*)$", rest, re.S)
                if not match:
                    raise Unclear("%s: a @field that cannot be read: %s" % (current.where, rest))
                if match.group(1) in (None, "public"):
                    luatype, about = read_type(match.group(4))
                    current.fields.append((match.group(2).strip("[]"), luatype + match.group(3), about.strip().replace("\n", " ")))
        variable = re.match(r"^local (\w+) = ", line)
        if current and variable:
            current.variable = variable.group(1)

    def _add(self, owner, name, args, doc, at, method):
        names = None if args is None else [word.strip() for word in args.split(",") if word.strip()]
        self.functions.append(Function(owner, name, names, doc, self.where(at), self.body(at), method))

    def local_function(self, name):
        """Parameters and body of a `local function`, or None."""
        for at, line in enumerate(self.lines):
            match = LOCAL_FUNCTION.match(line)
            if match and match.group(1) == name:
                return [word.strip() for word in match.group(2).split(",") if word.strip()], self.body(at)
        return None


CHECK = re.compile(r"options\.check\(")


def checks_in(body, source, bound=None):
    """Every options.check(WHERE, given, SPEC) of a function's body: pairs of WHERE and the spec as a table.

    A spec is written out, or named: a local of the body, of the file, or a parameter that `bound` gives tokens for."""
    def names(word):
        if bound and word in bound:
            return bound[word]
        local = re.search(r"^\s+local %s = (.*)$" % re.escape(word), body, re.M)
        if local:
            return first_value(body[local.start(1):])
        return source.constant(word)

    for match in CHECK.finditer(body):
        tokens = tokens_of(body[match.end() - 1:])
        parts = split_list(tokens[1:closing(tokens, 0)])
        where, spec = value_of(parts[0], names), value_of(parts[2], names)
        if not isinstance(spec, dict):
            raise Unclear("%s: the option spec '%s' of options.check is not written out" % (source.path, spec))
        yield where, spec
