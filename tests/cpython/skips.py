"""What CPython's suites skip or fail in without us, and the reason that they give, for docs/compliance.md."""

from collections import Counter, defaultdict

MODULE = "unittest.loader.ModuleSkipped."  # a module that is skipped as it is imported
FIXTURES = ("setUpClass (", "setUpModule (")  # a class or module that is skipped before its tests are counted


def by_reason(ours, theirs):
    """{reason: {test: 1, or class all of whose tests say that: their number}} of what is skipped or fails without us, too."""
    of_class = defaultdict(list)
    for name, outcome in ours.items():
        of_class[_class(name)].append(outcome)
    reasons = defaultdict(Counter)
    for name in sorted(ours):
        state, reason = ours[name]
        if state != "passed" and theirs.get(name, ("absent", ""))[0] == state:
            if state != "skipped":
                reason = "fails: " + reason.rstrip().rpartition("\n")[2]
            group = _class(name)
            whole = group and len(of_class[group]) > 1 and len(set(of_class[group])) == 1
            reasons[" ".join(reason.split())][_short(group if whole else name)] += 1
    return dict(reasons)


def table(rows):
    """The lines of the page for one version, from the rows of its figures: one for each reason."""
    reasons = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        for reason, tests in row.get("skips", {}).items():
            reasons[reason][row["suite"]] |= tests
    if reasons:
        yield "| reason | suites, tests | which |"
        yield "|---|---|---|"
    for reason, suites in sorted(reasons.items()):
        counts = ", ".join(f"{suite}: {sum(tests.values())}" for suite, tests in suites.items())
        names = "<br>".join(f"`{name}`" for name in sorted(set().union(*suites.values())))
        reason = reason.replace("|", "\\|")
        yield f"| {reason} | {counts} | {names} |"


def _class(name):
    """The class of a test; nothing where unittest reports a whole class or module."""
    return "" if name.startswith((MODULE, *FIXTURES)) else name.partition(" ")[0].rpartition(".")[0]


def _short(name):
    if name.startswith(FIXTURES):
        name = name.partition("(")[2].rstrip(")")
    return name.removeprefix(MODULE).removeprefix("test.")
