# SPDX-License-Identifier: Apache-2.0
"""Man pages of section 3 from doxygen's XML.

One page for each group of a header that has functions, named after its first
one; what else the group declares leads there by links. libpersist(3) is the
header's essay and the list of all pages.
"""
import os
import re
import sys
import xml.etree.ElementTree as ET

import roff

RETURNS = ("Where nothing else is said, a function that returns `int` returns "
           "`PERSIST_OK` (0), or a negative code and what is known of the failure in "
           "`err`, which may be NULL: see **persist_error**(3).")


class Group:
    """What stands between two rules of a header."""

    def __init__(self, tree, header, structs):
        self.header = header
        self.functions = tree.findall(".//memberdef[@kind='function']")
        self.types = tree.findall(".//memberdef[@kind='typedef']")
        self.enums = tree.findall(".//memberdef[@kind='enum']")
        self.macros = [m for m in tree.findall(".//memberdef[@kind='define']")
                       if not m.findtext("name").endswith("_INIT")]
        self.initializers = [m.findtext("name") for m in tree.findall(".//memberdef[@kind='define']")
                             if m.findtext("name").endswith("_INIT")]
        self.structs = [structs[c.get("refid")] for c in tree.findall("innerclass")]
        self.name = self.functions[0].findtext("name") if self.functions else None

    def names(self):
        """Everything its page is found under."""
        return ([f.findtext("name") for f in self.functions + self.types + self.enums]
                + [s.findtext("compoundname") for s in self.structs])


BLOCKS = ("programlisting", "itemizedlist", "simplesect")


def text_of(node):
    """The words of a paragraph, as roff.Page wants them."""
    out = [node.text or ""]
    for child in node:
        if child.tag == "computeroutput":
            out.append(f"`{text_of(child)}`")
        elif child.tag == "bold":
            out.append(f"**{text_of(child)}**")
        elif child.tag not in BLOCKS:
            out.append(text_of(child))
        out.append(child.tail or "")
    return " ".join("".join(out).split())


def code_of(listing):
    """A block of code: its lines with their blanks."""
    lines = []
    for line in listing.findall("codeline"):
        words = []
        for node in line.iter():
            words.append(" " if node.tag == "sp" else node.text or "")
            if node.tag in ("sp", "ref"):
                words.append(node.tail or "")
        lines.append("".join(words))
    indent = min((len(x) - len(x.lstrip()) for x in lines if x.strip()), default=0)
    return "\n".join(x[indent:].rstrip() for x in lines).strip("\n")


def block_of(node):
    if node.tag == "programlisting":
        yield "code", code_of(node)
    elif node.tag == "itemizedlist":
        for item in node.findall("listitem"):
            yield "item", " ".join(text_of(p) for p in item.findall("para"))
    elif node.tag == "simplesect":
        yield "codes", " ".join(text_of(p) for p in node.findall("para"))


def paragraphs(node):
    """(kind, text) of a description: text, code, item, codes."""
    for para in node.findall("para"):
        rest = ET.Element("para")
        rest.text = para.text
        for child in para:
            if child.tag not in BLOCKS:
                rest.append(child)
                continue
            if text_of(rest):
                yield "text", text_of(rest)
            yield from block_of(child)
            rest = ET.Element("para")
            rest.text = child.tail
        if text_of(rest):
            yield "text", text_of(rest)


def description(member):
    """Its blocks. Doxygen splits the first sentence off; here it stays."""
    blocks = []
    for part in ("briefdescription", "detaileddescription"):
        found = list(paragraphs(member.find(part)))
        if blocks and found and blocks[-1][0] == found[0][0] == "text":
            found[0] = "text", f"{blocks.pop()[1]} {found[0][1]}"
        blocks += found
    return blocks


def brief(member):
    """The first sentence."""
    return " ".join(text for _, text in paragraphs(member.find("briefdescription")))


def words(member):
    """In one piece, without the full stop doxygen gives to some."""
    text = " ".join(text for _, text in description(member))
    return text if ". " in text else text.rstrip(".")


def describe(page, member, code_sink=None):
    for kind, text in description(member):
        if kind == "code":
            page.code(text)
        elif kind == "item":
            page.bullet("\\(bu", text)
        elif kind == "codes" and code_sink is not None:
            code_sink.append((member.findtext("name"), text))
        else:
            page.paragraph(text)


def plain(node):
    return " ".join("".join(node.itertext()).split()) if node is not None else ""


def tidy(declaration):
    """Blanks as the headers have them."""
    return re.sub(r"(\w)\(\* ?", r"\1 (*", re.sub(r"\* (?=[\w*])", "*", declaration)).replace(") (", ")(")


def wrapped(head, arguments):
    """A declaration of at most 72 columns, if it can be."""
    lines, line = [], head
    for i, argument in enumerate(arguments):
        argument += "," if i + 1 < len(arguments) else ");"
        if line != head and len(line) + 1 + len(argument) > 72:
            lines.append(line)
            line = " " * 4 + argument
        else:
            line += argument if line == head else " " + argument
    return "\n".join([*lines, line])


def prototype(function):
    head = tidy(f"{plain(function.find('type'))} {function.findtext('name')}(")
    return wrapped(head, [tidy(f"{plain(p.find('type'))} {p.findtext('declname') or ''}".strip())
                          for p in function.findall("param")] or ["void"])


def callback(member):
    kind, arguments = plain(member.find("type")), plain(member.find("argsstring"))
    head = tidy(f"typedef {kind} {member.findtext('name')}") + ")("
    return wrapped(head, arguments.split("(", 1)[1].rsplit(")", 1)[0].split(", "))


def declaration(member):
    """A member of a struct as it is declared."""
    kind = plain(member.find("type"))
    blank = "" if kind.endswith("(*") else " "
    return tidy(f"{kind}{blank}{member.findtext('name')}{plain(member.find('argsstring'))}")


def structures(page, group):
    for struct in group.structs:
        name = struct.findtext("compoundname")
        page.subsection(f"struct {name}")
        describe(page, struct)
        for member in struct.findall(".//memberdef[@kind='variable']"):
            page.item(f"`{declaration(member)}`", words(member))
    if group.initializers:
        page.paragraph("Initializers: " + ", ".join(f"`{n}`" for n in group.initializers) + ".")


def constants(page, group):
    for enum in group.enums:
        page.subsection(f"enum {enum.findtext('name')}")
        describe(page, enum)
        for value in enum.findall("enumvalue"):
            number = (value.findtext("initializer") or "").strip()
            page.item(f"**{value.findtext('name')}** {number}", words(value) or "\\&")
    if group.macros:
        page.subsection("Macros")
    for macro in group.macros:
        page.item(f"**{macro.findtext('name')}**", words(macro))


def related(group, owner):
    """Pages of what its functions and types mention, in order of the name."""
    found = set()
    for member in [*group.functions, *group.types, *group.structs]:
        for ref in member.iter("ref"):
            name = owner.get("".join(ref.itertext()).strip(":#() "))
            if name and name != group.name:
                found.add(name)
    return sorted(found - {"libpersist"})


def group_page(group, owner, essay, version, day):
    summary = brief(group.functions[0]).rstrip(".")
    page = roff.Page(group.name, 3, version, day, summary[:1].lower() + summary[1:])
    page.also_named([f.findtext("name") for f in group.functions[1:]])
    page.section("SYNOPSIS")
    page.code(f"#include <persist/{group.header}>\n\n"
              + "\n\n".join(prototype(f) for f in group.functions))
    page.section("DESCRIPTION")
    for kind, text in essay:
        page.code(text) if kind == "code" else page.paragraph(text)
    codes = []
    for function in group.functions:
        page.subsection(f"{function.findtext('name')}()")
        describe(page, function, codes)
    for kind in group.types:
        page.subsection(kind.findtext("name"))
        page.code(callback(kind))
        describe(page, kind)
    if group.structs or group.initializers:
        page.section("STRUCTURES")
        structures(page, group)
    if group.enums or group.macros:
        page.section("CONSTANTS")
        constants(page, group)
    page.section("RETURN VALUE")
    page.paragraph(RETURNS)
    if codes:
        page.section("ERRORS")
        for name, text in codes:
            page.item(f"**{name}**()", text)
    see_also(page, ["libpersist", *related(group, owner)])
    return page


def see_also(page, names):
    page.section("SEE ALSO")
    page.paragraph(", ".join(f"**{name}**(3)" for name in names) + ", **persist**(1)")


def main_page(essay, groups, version, day):
    page = roff.Page("libpersist", 3, version, day, "numbered, verified, durable snapshots")
    page.section("SYNOPSIS")
    page.code("#include <persist/persist.h>\n\ncc ... $(pkg-config --cflags --libs persist)")
    page.section("DESCRIPTION")
    for kind, text in essay:
        page.code(text) if kind == "code" else page.paragraph(text)
    page.section("FUNCTIONS")
    for group in groups:
        page.item(", ".join(f"**{f.findtext('name')}**(3)" for f in group.functions),
                  brief(group.functions[0]))
    see_also(page, ["persist_error"])
    return page


def load(xml):
    """The compounds of doxygen's XML by their id."""
    out = {}
    for name in sorted(os.listdir(xml)):
        if name.endswith(".xml") and name not in ("index.xml", "Doxyfile.xml"):
            for compound in ET.parse(os.path.join(xml, name)).getroot().findall("compounddef"):
                out[compound.get("id")] = compound
    return out


def in_order(compounds, header):
    """Its groups in the order in which the header has them."""
    found = [c for c in compounds.values() if c.get("kind") == "group"
             and c.findtext("title").startswith(header + ":")]
    return sorted(found, key=lambda c: min((int(m.find("location").get("line"))
                                            for m in c.iter("memberdef")), default=0))


def write_page(folder, page):
    with open(os.path.join(folder, f"{page.name}.3"), "w", encoding="utf-8") as f:
        f.write(page.text())


def undescribed(compounds):
    """Values of enumerations without a word, which doxygen lets pass."""
    return [value.findtext("name") for c in compounds.values() if c.get("kind") != "file"
            for value in c.iter("enumvalue") if not words(value)]


def write(xml, folder, version, day):
    compounds = load(xml)
    if undescribed(compounds):
        sys.exit("not documented: " + ", ".join(undescribed(compounds)))
    groups, essays, owner = [], {}, {}
    for header in ("persist.h", "async.h", "error.h"):
        mine = [Group(c, header, compounds) for c in in_order(compounds, header)]
        mine = [g for g in mine if g.functions]
        groups += mine
        file = next(c for c in compounds.values()
                    if c.get("kind") == "file" and c.findtext("compoundname") == header)
        # Without the line that names the file.
        essays[header if header == "persist.h" else mine[0].name] = list(paragraphs(file.find("detaileddescription")))
    for group in groups:
        owner.update({name: group.name for name in group.names()})
    os.makedirs(folder)
    write_page(folder, main_page(essays["persist.h"], groups, version, day))
    for group in groups:
        write_page(folder, group_page(group, owner, essays.get(group.name, []), version, day))
    for name, target in sorted(owner.items()):
        if name != target:
            os.symlink(f"{target}.3", os.path.join(folder, f"{name}.3"))
