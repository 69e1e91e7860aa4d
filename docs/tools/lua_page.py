"""Makes the page docs/reference/lua.md of a Library (lua_reference.py)."""
import re

from lua_reference import methods_of, module_path, opaque, rest_of
from lua_source import Expression

HEAD = """# Reference of the Lua library

<!-- Written by ./dev docs from the annotations in lua/quern; do not edit. -->

Every function that a script may call, with every option. [library.md](library.md) tells the same by subject, with more words;
[query.md](query.md) explains the fields of a query.

`name?` may be left out, `T?` may be nil. *Waits* marks what gives other tasks their turn; it works on the main state only, not while
a script loads and not in a transform. What returns "or nil, err" answers an expected failure with a table that has `kind` and
`message`; misuse raises an error at the caller's line.
"""


def code(text):
    return "`%s`" % text


def coded(text):
    """Code in a table, where a bar would end the cell."""
    return code(str(text).replace("|", "\\|"))


def lua_text(value):
    """A value as Lua writes it."""
    if isinstance(value, dict):
        listed = [lua_text(value[key]) if isinstance(key, int) else "%s = %s" % (key, lua_text(value[key])) for key in value]
        return "{ %s }" % ", ".join(listed) if listed else "{}"
    if isinstance(value, bool):
        return str(value).lower()
    return '"%s"' % value if isinstance(value, str) and not isinstance(value, Expression) else str(value)


def default_text(value):
    if value is None:
        return ""
    return coded(lua_text(value))


def anchor(title):
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def paragraphs(lines):
    return "\n".join(lines).strip("\n")


def described(before, text):
    text = " ".join(text.split())
    return before + text if text else ""


def cell(text):
    return " ".join(text.split()).replace("|", "\\|")


def signature(entry_name, function, params):
    if function.args is None and not params:
        return entry_name
    words = []
    known = {name: optional for name, _, optional, _ in params}
    names = [name for name, _, _, _ in params] if function.args is None or len(params) > len(function.args) else function.args
    for name in names:
        if name in ("self", "_"):
            continue
        words.append(name + ("?" if known.get(name) else ""))
    return "%s(%s)" % (entry_name, ", ".join(words))


def table(head, rows):
    lines = ["| %s |" % " | ".join(head), "|%s" % (" --- |" * len(head))]
    return lines + ["| %s |" % " | ".join(row) for row in rows] + [""]


def returns_lines(doc):
    rows = [(luatype, name, about) for luatype, name, about in doc.returns()]
    if not rows:
        return []
    lines = []
    for luatype, name, about in rows:
        words = " ".join(part for part in (("%s" % name) if name else "", code(luatype)) if part)
        lines.append("- returns %s%s" % (words, (": " + " ".join(about.split())) if about else ""))
    return lines + [""]


def function_lines(level, title, doc, params, options=None, tables=None):
    lines = ["%s %s" % (level, title), ""]
    text = paragraphs(doc.text)
    if doc.has("async"):
        text = text if re.search(r"\bwaits\b", text, re.I) else text + "\n*Waits.*"
    lines += [text, ""]
    plain = [(name, luatype, optional, about) for name, luatype, optional, about in params
             if name != "self" and not (tables or {}).get(name)]
    for name, luatype, optional, about in plain:
        lines.append("- `%s%s` %s%s" % (name, "?" if optional and not luatype.endswith("?") else "", code(luatype),
                                        described(": ", rest_of(about, set(options or {})))))
    if plain:
        lines.append("")
    for name, _, _, about in params:
        if (tables or {}).get(name) and rest_of(about, set(options)):
            lines += [rest_of(about, set(options)), ""]
    if options:
        rows = []
        for name, (luatype, default, required, about) in options.items():
            rows.append((coded(name), coded(luatype.rstrip("?")), "required" if required else default_text(default), cell(about)))
        lines += table(("option", "type", "default", "meaning"), rows)
    return lines + returns_lines(doc)


def module_lines(library, module):
    source = library.source(module_path(module, library.exists))
    lines = ["## " + module, "", paragraphs(source.about), ""]
    for entry in library.entries[module]:
        params = entry.params()
        name = entry.name
        if module in library.constructors:
            name = module
        lines += function_lines("###", "`%s`" % signature(name, entry.function, params), entry.doc, params, entry.options, entry.tables)
    return lines


def class_lines(library, name):
    cls, source = library.classes[name]
    lines = ["### " + name, ""]
    if cls.about and not opaque(cls):
        lines += [cls.about, ""]
    elif opaque(cls):
        about = re.sub(r"^opaque:?\s*", "", cls.about)
        lines += [about[:1].upper() + about[1:] + ".", ""]
        return lines
    if cls.fields:
        lines += table(("field", "type", "meaning"), [(coded(field), coded(luatype), cell(about)) for field, luatype, about in cls.fields])
    for function in methods_of(cls, source):
        params = [param for param in function.doc.params() if param[0] != "self"]
        args = [arg for arg in function.args or [] if arg != "self"]
        title = "`%s:%s(%s)`" % (name, function.name, ", ".join(
            arg + ("?" if {p[0]: p[2] for p in params}.get(arg) else "") for arg in args))
        lines += function_lines("####", title, function.doc, params)
    return lines


def render(library):
    lines = [HEAD]
    rows = []
    for module in library.modules:
        about = " ".join(library.source(module_path(module, library.exists)).about).split(". ")[0].strip().rstrip(".")
        about = re.sub(r"^quern:\s*", "", about.split("    ")[0].strip().rstrip(":"))
        rows.append(("[%s](#%s)" % (module, anchor(module)), cell(about)))
    lines += table(("module", "holds"), rows)
    lines += ["The [types](#types) that they take and give are at the end.", ""]
    for module in library.modules:
        lines += module_lines(library, module)
    lines += ["## Types", ""]
    for name in library.shown:
        lines += class_lines(library, name)
    text = "\n".join(lines)
    text = re.sub(r"[ \t]+\n", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).rstrip("\n") + "\n"
