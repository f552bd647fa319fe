"""What `ci/helm` runs: renders, lints and validates the chart, and keeps its README's table of values."""
import functools
import json
import pathlib
import re
import sys

import helm_python
import kubernetes_validate
import yaml

CHART = pathlib.Path("helm/plimsoll")
# The namespace and release that tests expect.
NAMESPACE, RELEASE = "metrics", "plimsoll"
# The oldest Kubernetes that the chart takes, and the newest known here.
VERSIONS = ["1.30", "1.37"]
# Values that Helm must refuse, and a piece of what it says.
REFUSED = {
    "image.repository is empty": {"image": {"repository": ""}},
    "objectStore.url is empty": {"objectStore": {"url": ""}},
    "there are 1 ingesters": {"single": {"replicas": 1}},
    "rules are given": {"mode": "distributed", "ruler": {"enabled": False}, "rules": {"a.yaml": {"groups": []}}},
    "has a name twice": {"mode": "distributed", "ingester": {"zones": [{"name": "a"}, {"name": "a"}, {"name": "b"}]}},
    "there are 2 zones": {"mode": "distributed", "ingester": {"zones": [{"name": "a"}, {"name": "b"}], "replicasPerZone": 2}},
    "none of the zones": {"mode": "distributed", "ingester": {"rolloutZone": "z"}},
    "config.zone is set by the chart": {"config": {"zone": "a"}},
    "config.object_store.url is set by the chart": {"config": {"object_store": {"url": "memory://"}}},
    "must be above config.shutdown_timeout_seconds": {"config": {"shutdown_timeout_seconds": 120}},
    "unknownKey": {"unknownKey": 1},
    "/single/replicas": {"single": {"replicas": 2}},
    "/mode": {"mode": "microservices"},
}
ENOUGH = {"image": {"repository": "plimsoll"}, "objectStore": {"url": "s3://plimsoll?region=eu-central-1"}}

# The loader in C, where PyYAML has it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def merged(base, over):
    both = [k for k in over if isinstance(over[k], dict) and isinstance(base.get(k), dict)]
    return {**base, **over, **{k: merged(base[k], over[k]) for k in both}}


def documents(text):
    return [document for document in yaml.load_all(text, LOADER) if document]


@functools.lru_cache(maxsize=None)
def validate(text):
    """What Kubernetes' schemas find wrong with a document; kinds that are not Kubernetes' own are checked elsewhere. Value sets share most documents."""
    document = json.loads(text)
    if document["apiVersion"].startswith("monitoring.coreos.com/"):
        return []
    problems = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            problems.append(f"{document['kind']} {document['metadata']['name']}, Kubernetes {version}: {error.message}")
    return problems


def render_set(chart, values):
    """One value set: its objects and notes."""
    chart.validate_schema(values)
    files = chart.render(values, name=RELEASE, namespace=NAMESPACE, is_install=True)
    upgraded = chart.render(values, name=RELEASE, namespace=NAMESPACE, is_install=False, is_upgrade=True, revision=2)
    notes = [text for name, text in [*files.items(), *upgraded.items()] if name.endswith("NOTES.txt")]
    objects = [d for name, text in sorted(files.items()) if not name.endswith(("NOTES.txt", ".tpl")) for d in documents(text)]
    return {"objects": objects, "notes": notes}


def problems(values, objects):
    """All that Helm and Kubernetes find wrong with a value set."""
    lint = helm_python.lint(str(CHART), values, strict=True, namespace=NAMESPACE)
    # 1 is information only: "icon is recommended".
    found = [m["error"] for m in lint["messages"] if m["severity"] > 1] + lint["errors"]
    return found + [problem for document in objects for problem in validate(json.dumps(document, sort_keys=True))]


def refusals(chart):
    """For each of REFUSED, what Helm says; `null` if it takes the values."""
    said = {}
    for expected, values in REFUSED.items():
        try:
            values = merged(ENOUGH, values)
            chart.validate_schema(values)
            chart.render(values, name=RELEASE, namespace=NAMESPACE)
            said[expected] = None
        except helm_python.HelmError as error:
            said[expected] = str(error)
    return said


def value_sets():
    for path in sorted([*CHART.glob("ci/*.yaml"), *CHART.glob("sizes/*.yaml")]):
        values = yaml.load(path.read_text(), LOADER)
        # Files of sizes say nothing about the place.
        yield path.stem, merged(ENOUGH, values) if path.parent.name == "sizes" else values


def render(names):
    chart = helm_python.Chart.load(str(CHART))
    sets = {name: render_set(chart, values) for name, values in value_sets() if not names or name in names}
    json.dump({"sets": sets}, sys.stdout)


def check():
    chart = helm_python.Chart.load(str(CHART))
    sets = {name: render_set(chart, values) for name, values in value_sets()}
    for name, values in value_sets():
        sets[name]["problems"] = problems(values, sets[name]["objects"])
    # That the schemas are looked at: this object has a field too many.
    broken = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "broken"}, "dta": {}}
    versions = {"helm": helm_python.helm_sdk_version(), "kubernetes": VERSIONS}
    json.dump({"versions": versions, "sets": sets, "refused": refusals(chart), "broken": validate(json.dumps(broken))}, sys.stdout)


def entries(lines):
    """Keys of values.yaml with their comments: (path, indent, comment)."""
    path, comment = [], []
    for line in lines:
        stripped = line.strip()
        indent = len(line) - len(line.lstrip())
        key = re.match(r"([A-Za-z]+):", stripped)
        if stripped.startswith("# "):
            comment.append(stripped[2:])
        elif key and not stripped.startswith("- "):
            path = [(i, k) for i, k in path if i < indent] + [(indent, key[1])]
            yield ".".join(k for _, k in path), " ".join(comment)
            comment = []
        else:
            comment = []


def table():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    commented = dict(entries((CHART / "values.yaml").read_text().splitlines()))
    # A key that several components share is explained where it stands first.
    components = [key for key, value in values.items() if isinstance(value, dict) and "resources" in value and "image" not in value]
    shared = {}
    for path, comment in commented.items():
        section, _, rest = path.partition(".")
        if section in components and comment:
            shared.setdefault(rest, comment)
    rows = ["| key | default | meaning |", "|---|---|---|"]

    def walk(value, path):
        section, _, rest = path.partition(".")
        meaning = commented.get(path) or (section in components and shared.get(rest)) or LEAVES.get(path.split(".")[-1])
        if isinstance(value, dict) and value and not meaning:
            for key in value:
                walk(value[key], f"{path}.{key}")
            return
        if not meaning:
            sys.exit(f"helm/plimsoll/values.yaml: {path} has no comment")
        default = value or "''" if isinstance(value, str) else json.dumps(value)
        rows.append(f"| `{path}` | `{default}` | {meaning} |")

    for key in values:
        walk(values[key], key)
    return "\n".join(rows)


# Keys that say what they are.
LEAVES = {
    "minReplicas": "Fewest pods", "maxReplicas": "Most pods", "className": "Class", "hosts": "Host names", "labels": "Labels of it",
    "annotations": "Annotations of it", "interval": "How often", "scrapeTimeout": "How long a scrape may take", "tag": "Its tag",
    "digest": "Its digest", "whenScaled": "The same, when the StatefulSet gets smaller", "resources": "Requests and limits",
}


def docs(check):
    readme = CHART / "README.md"
    text = readme.read_text()
    begin, end = "<!-- values -->\n", "\n<!-- end of values -->"
    head, rest = text.split(begin)
    fresh = head + begin + table() + end + rest.split(end)[1]
    if check and fresh != text:
        sys.exit("the table of values in helm/plimsoll/README.md is not that of values.yaml: run ci/helm docs")
    if not check:
        readme.write_text(fresh)


if __name__ == "__main__":
    command, arguments = sys.argv[1], sys.argv[2:]
    if command == "render":
        render(arguments)
    elif command == "check":
        check()
    elif command == "docs":
        docs("--check" in arguments)
    else:
        sys.exit(f"unknown command {command}")
