"""What docs/reference/lua.md tells, read from the annotations of lua/quern/*.lua; and what lacks documentation.

Public is what a script may name: the modules that core/lua/sandbox.c lists, what `quern` itself has, and the types that these mention.
"""
import os
import re

from lua_source import (Expression, Source, Unclear, alternatives, checks_in, closing, inline_fields, split_list, tokens_of,
                        value_of)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = "docs/reference/lua.md"
META = "lua/quern/_meta/core.lua"
# Specs that are not checked in a public function itself: where their keys are described.
SPEC_CLASSES = {("lua/quern/columns.lua", "COLUMN"): "quern.Column", ("lua/quern/http.lua", "REQUEST"): "quern.Request",
                ("lua/quern/transform.lua", "CONVERSION"): "quern.Conversion",
                ("lua/quern/plugin.lua", "PLUGIN"): "quern.Plugin"}

# An entry of the table VALUES in init.lua: what quern.NAME gives, by module and member.
VALUE = re.compile(r"^  (\w+) = function\(\) return require\(?\s*\"([\w.]+)\"\)?\.(\w+) end", re.M)


def read_file(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def module_path(name, exists):
    """The file of a module: quern.chunk is lua/quern/chunk.lua or lua/quern/chunk/init.lua."""
    base = "lua/" + name.replace(".", "/")
    for path in (base + ".lua", base + "/init.lua"):
        if exists(path):
            return path
    return None


class Entry:
    """A public function as the page shows it."""

    def __init__(self, name, function, source, target=None):
        self.name, self.function, self.source, self.doc = name, function, source, function.doc
        self.target = target or (function, source)  # who checks the options
        if not self.doc.text and target:
            self.doc = target[0].doc
        self.problems, self.options = [], {}  # option -> (type, default or None, required, about)
        self.tables = {}  # parameters that are option tables -> is it nothing else?

    def params(self):
        return list((self.target[0].doc if not list(self.doc.params()) else self.doc).params())

    def fault(self, text):
        self.problems.append("%s: %s %s" % (self.target[0].where, self.name, text))


class Library:
    """Everything public, read from the sources. `replace` (path to text) stands in for files: the tests seed faults with it."""

    def __init__(self, replace=None):
        self.replace, self.sources = replace or {}, {}
        listed = re.search(r"public_modules\[\] = \{(.*?)\};", self.read("core/lua/sandbox.c"), re.S).group(1)
        self.modules = [name for name in re.findall(r"\"([\w.]+)\"", listed) if module_path(name, self.exists)]
        self.classes = self._classes()
        self.covered, self.table_classes = [], set()
        self.constructors = {module for _, module, member in VALUE.findall(self.read("lua/quern/init.lua")) if member == "new"}
        self.entries = {name: self._entries(name) for name in self.modules}
        self.shown = self._reachable()

    def exists(self, path):
        return path in self.replace or os.path.isfile(os.path.join(ROOT, path))

    def read(self, path):
        return self.replace[path] if path in self.replace else read_file(path)

    def source(self, path):
        if path not in self.sources:
            self.sources[path] = Source(path, self.read(path))
        return self.sources[path]

    def _classes(self):
        """Every annotated class of the library, by name, with its source."""
        found = {}
        for folder, _, files in os.walk(os.path.join(ROOT, "lua/quern")):
            for name in sorted(files):
                path = os.path.relpath(os.path.join(folder, name), ROOT)
                for cls in self.source(path).classes.values():
                    found.setdefault(cls.name, (cls, self.source(path)))
        return found

    def _entries(self, module):
        source = self.source(module_path(module, self.exists))
        entries = []
        for function in source.functions:
            if not re.match(r"M(\.\w+)?$", function.owner) or function.name in source.hidden or function.name.startswith("_"):
                continue
            if function.doc.has("private") or function.doc.has("package"):
                continue
            owner = module + function.owner[1:]
            entries.append(self._entry("%s.%s" % (owner, function.name), function, source))
        if module == "quern":
            entries += self._values(source)
        elif module in self.constructors:  # quern.NAME is its `new`; the rest is the library's own
            entries = [entry for entry in entries if entry.name == module + ".new"]
        return entries

    def _entry(self, name, function, source):
        target = None
        away = re.search(r"^  return require\(\"(quern\.[\w.]+)\"\)\.(\w+)\(", function.body, re.M)
        if away:
            other = self.source(module_path(away.group(1), self.exists))
            target = next(((found, other) for found in other.functions if found.owner == "M" and found.name == away.group(2)), None)
        entry = Entry(name, function, source, target)
        self._check(entry)
        return entry

    def _values(self, source):
        """What `quern.NAME` gives that lives elsewhere: the table VALUES of init.lua."""
        entries = []
        for name, module, member in VALUE.findall(source.text):
            path = module_path(module, self.exists) or META
            other = self.source(path)
            variable = "M" if path != META else next((cls.variable for cls in other.classes.values() if cls.name == module), None)
            function = next((found for found in other.functions if found.owner == variable and found.name == member), None)
            if module in self.modules and function:
                continue  # described with its module
            if function:
                entry = Entry("quern." + name, function, other)
                self._check(entry)
                entries.append(entry)
            elif name != "null":
                raise Unclear("lua/quern/init.lua: quern.%s is %s.%s, which is not found" % (name, module, member))
        return entries

    # ---- what must be described

    def _check(self, entry):
        if not "".join(entry.doc.text).strip():
            entry.fault("has no summary")
        described = {name for name, luatype, _, _ in entry.params() if luatype}
        for name in (entry.function.args or []):
            if name != "self" and name != "_" and name not in described:
                entry.fault("does not say the type of its parameter '%s'" % name)
        for where, spec in self._specs(entry):
            self._describe(entry, where, spec)

    def _specs(self, entry):
        """Option specs that a function checks: its own, or those of a local function that it calls."""
        function, source = entry.target
        found = list(checks_in(function.body, source))
        self.covered.append((source.path, function.body))
        if not found:
            for callee, at in [(match.group(1), match.end() - 1) for match in re.finditer(r"\b(\w+)\(", function.body)]:
                local = source.local_function(callee)
                if local and "options.check(" in local[1]:
                    tokens = tokens_of(function.body[at:])
                    bound = arguments(tokens, local[0])
                    found += list(checks_in(local[1], source, bound))
                    self.covered.append((source.path, local[1]))
        return found

    def _describe(self, entry, where, spec):
        """`where` names the function; a word after it names the option whose own options these are."""
        nested = where.split(" ")[-1] if " " in where and not isinstance(where, Expression) else None
        types, abouts = self._described(entry, set(spec), nested)
        for key in sorted(spec, key=lambda key: (list(types).index(str(key)) if str(key) in types else len(types), str(key))):
            rule = spec[key]
            default = rule.get("default") if isinstance(rule, dict) else None
            required = isinstance(rule, dict) and rule.get("required") is True
            name = "%s.%s" % (nested, key) if nested else str(key)
            if not abouts.get(str(key)):
                entry.fault("does not describe its option '%s'" % name)
            if str(key) not in types:
                entry.fault("does not say the type of its option '%s'" % name)
            entry.options[name] = (types.get(str(key), ""), default, required, abouts.get(str(key), ""))
        for key in types:
            if key not in spec and (not key.isdigit() or int(key) not in spec):
                entry.fault("describes an option '%s' that it does not take" % key)

    def _described(self, entry, keys, nested):
        """Types and meanings of options, from the parameter that is an option table."""
        for name, luatype, _, about in entry.params():
            parts = [part.rstrip("?") for part in alternatives(luatype)]
            for part in parts:
                fields = inline_fields(part)
                cls = self.classes[part][0] if part in self.classes else None
                if fields is None and cls is None:
                    continue
                types = cls.field_types() if cls else fields
                abouts = cls.field_docs() if cls else segments(about, set(fields))
                if nested:
                    inner = inline_fields(re.sub(r"\|boolean$", "", types.get(nested, "").rstrip("?"))) or {}
                    return inner, segments(abouts.get(nested, "") if cls else about, set(inner))
                if keys and not {str(key) for key in keys} & set(types):
                    continue
                entry.tables[name] = len(parts) == 1
                self.table_classes.update([part] if cls else [])
                return types, abouts
        return {}, {}

    def problems(self):
        found = [problem for entries in self.entries.values() for entry in entries for problem in entry.problems]
        found += self._class_problems() + self._spec_problems() + self._unseen()
        found += ["core/lua/sandbox.c: %s has no description at the top of its file" % module for module in self.modules
                  if not "".join(self.source(module_path(module, self.exists)).about).strip()]
        return found

    def _class_problems(self):
        found = []
        for name in self.shown:
            cls, source = self.classes[name]
            for function in methods_of(cls, source):
                if not "".join(function.doc.text).strip():
                    found.append("%s: %s:%s has no summary" % (function.where, name, function.name))
                described = {param[0] for param in function.doc.params() if param[1]}
                for arg in function.args or []:
                    if arg not in described and arg not in ("self", "_"):
                        found.append("%s: %s:%s does not say the type of its parameter '%s'" % (function.where, name, function.name, arg))
            if not opaque(cls):
                found += ["%s: %s.%s is not described" % (cls.where, name, field) for field, _, about in cls.fields if not about]
        return found

    def _spec_problems(self):
        """Option tables inside others, whose specs are constants."""
        found = []
        for (path, constant), name in SPEC_CLASSES.items():
            source = self.source(path)
            spec = {str(key) for key in value_of(source.constant(constant) or [], source.constant)}
            described = self.classes[name][0].field_docs() if name in self.classes else {}
            found += ["%s: the option '%s' of %s is not described in %s" % (path, key, constant, name)
                      for key in sorted(spec) if not described.get(key)]
            found += ["%s: %s describes '%s', which %s does not have" % (path, name, key, constant)
                      for key in described if key not in spec]
        return found

    def _unseen(self):
        """Option tables that no public function was seen to check."""
        found, constants = [], {(path, name) for path, name in SPEC_CLASSES}
        for path, source in sorted(self.sources.items()):
            for number, line in enumerate(source.lines):
                if "options.check(" not in line or path.endswith("/options.lua") or line.lstrip().startswith("---"):
                    continue
                if any(path == at and line in body for at, body in self.covered):
                    continue
                if any(path == at and re.search(r"\b%s\b" % name, line) for at, name in constants):
                    continue
                found.append("%s: no public function is seen to check these options" % source.where(number))
        return found

    def _reachable(self):
        """Classes that public functions, and the fields and methods of such classes, mention."""
        seen, todo = [], []
        for entries in self.entries.values():
            for entry in entries:
                todo += mentioned(entry.doc) + mentioned(entry.target[0].doc)
        while todo:
            name = todo.pop(0)
            if name in seen or name not in self.classes or name in self.table_classes:
                todo += [word for _, luatype, _ in self.classes[name][0].fields for word in type_names(luatype)] if (
                    name in self.table_classes and name not in seen and not seen.append(name)) else []
                continue
            seen.append(name)
            cls, source = self.classes[name]
            if opaque(cls):
                continue
            todo += [word for _, luatype, _ in cls.fields for word in type_names(luatype)]
            for function in methods_of(cls, source):
                todo += mentioned(function.doc)
        return sorted(set(seen) - self.table_classes)


def arguments(tokens, params):
    """Tokens of a call's arguments by the names of its parameters. `tokens` begins with the bracket."""
    parts = split_list(tokens[1:closing(tokens, 0)])
    bound = dict(zip(params, parts))
    for name in params[len(parts):]:
        bound[name] = tokens_of("{}")
    return bound


def opaque(cls):
    return cls.about.startswith("opaque")


def methods_of(cls, source):
    if not cls.variable:
        return []
    return [function for function in source.functions
            if function.owner == cls.variable and not function.name.startswith("_") and function.name not in ("new", "is")
            and not function.doc.has("private") and not function.doc.has("package")]


def type_names(luatype):
    return [word for word in re.findall(r"quern\.[\w.]+", luatype)]


def mentioned(doc):
    words = []
    for _, luatype, _, _ in doc.params():
        words += type_names(luatype)
    for luatype, _, _ in doc.returns():
        words += type_names(luatype)
    return words


def segments(about, keys):
    """Meanings in prose of the form "`size`: records a page; `first`, `last`: ...": option to text."""
    text = " ".join(about.split())
    marks = [match for match in re.finditer(r"(?:^|(?<=[;.,(] )|(?<=^))((?:`\w+`(?:, | and ))*`\w+`): ", text)
             if set(re.findall(r"\w+", match.group(1).replace(" and ", " "))) <= keys]
    found = {}
    for number, mark in enumerate(marks):
        end = marks[number + 1].start() if number + 1 < len(marks) else len(text)
        meaning = text[mark.end():end].strip().rstrip(";.,").strip()
        for name in re.findall(r"`(\w+)`", mark.group(1)):
            found[name] = meaning
    return found


def rest_of(about, keys):
    """What a description says besides its options."""
    text = " ".join(about.split())
    mark = re.search(r"(?:^|(?<=[;.] ))((?:`\w+`(?:, | and ))*`\w+`): ", text)
    if mark and set(re.findall(r"\w+", mark.group(1).replace(" and ", " "))) <= keys:
        return text[:mark.start()].strip().rstrip(";")
    return text
