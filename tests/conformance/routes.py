"""What the routes of a case say, said to Envoy: its route configuration, one field for each key of ours.

Each group of cases has a listener, each service a virtual host there and clusters beside it: all of its endpoints, and
subsets by metadata with either fallback. A redirect is a call that Envoy makes of itself, by an internal listener.
"""

from __future__ import annotations

import re

from conformance import envoy as real

KINDS = "type.googleapis.com/envoy.extensions"
FALLBACK = {"none": "NO_FALLBACK", "any": "ANY_ENDPOINT"}
INTERNAL = {
    "bootstrap_extensions": [
        {
            "name": "envoy.bootstrap.internal_listener",
            "typed_config": {"@type": f"{KINDS}.bootstrap.internal_listener.v3.InternalListener"},
        }
    ]
}
FAULTS = "envoy.filters.http.fault"
FAULT = {"@type": f"{KINDS}.filters.http.fault.v3.HTTPFault"}
RETRIED = {"retry_on": "connect-failure,reset,retriable-status-codes", "retriable_status_codes": [429, 502, 503, 504]}


def clusters(service, endpoints):
    """Of a service: endpoints are pairs of a port and its metadata."""
    known = [
        real.endpoint(port) | {"metadata": {"filter_metadata": {"envoy.lb": metadata}}} for port, metadata in endpoints
    ]
    yield real.cluster(service, known)
    selectors = [{"keys": ["version"]}, {"keys": ["version", "zone"]}]
    for name, policy in FALLBACK.items():
        subsets = {"fallback_policy": policy, "subset_selectors": selectors}
        yield real.cluster(f"{service} or {name}", known, lb_subset_config=subsets)


def again(group):
    """Where a redirected call goes: to the listener of the same routes inside of Envoy."""
    address = {"envoy_internal_address": {"server_listener_name": inside(group), "endpoint_id": group}}
    return real.cluster(inside(group), [{"endpoint": {"address": address}}])


def inside(group):
    return f"{group} again"


def listeners(group, settings):
    """Of one group of cases: for its callers, and for its own redirects."""
    hosts = [virtual_host(group, name, service, settings["routes"]) for name, service in settings["services"].items()]
    filters = [{"name": FAULTS, "typed_config": FAULT}]
    yield real.listener(group, hosts, filters)
    if any("redirect" in each for each in settings["routes"]):
        yield real.listener(inside(group), hosts, filters, internal_listener={})


def virtual_host(group, name, service, routes):
    own = [route(group, name, each) for each in routes if each["match"]["service"] == name]
    return {
        "name": name,
        "domains": [name],
        "routes": [*own, {"match": {"prefix": "/"}, "route": {"cluster": name, **timeout(service)}}],
        "retry_policy": retries(service["retry"]),
    }


def route(group, service, said):
    """One route of ours."""
    matched = {"match": match(said["match"]), **edited("request", said.get("request_headers", {}))}
    matched |= edited("response", said.get("response_headers", {}))
    if "respond" in said:
        body = {"inline_string": said["respond"].get("body", "")}
        return matched | {"direct_response": {"status": said["respond"]["status"], "body": body}}
    if "faults" in said:
        matched["typed_per_filter_config"] = {FAULTS: fault(*said["faults"])}
    action = destination(group, service, said) | rewritten(said) | timeout(said)
    if "retry" in said:
        action["retry_policy"] = retries(said["retry"])
    return matched | {"route": action}


def destination(group, service, said):
    if "redirect" in said:
        return {"cluster": inside(group), "host_rewrite_literal": said["redirect"]}
    if "split" in said:
        parts = [{"name": name, "weight": round(weight * 100)} for name, weight in said["split"].items()]
        return {"weighted_clusters": {"clusters": parts}}
    if "subset" in said:
        wanted = {"filter_metadata": {"envoy.lb": said["subset"]["metadata"]}}
        return {"cluster": f"{service} or {said['subset'].get('fallback', 'none')}", "metadata_match": wanted}
    return {"cluster": service}


def timeout(said):
    return {"timeout": f"{said['timeout']}s"} if "timeout" in said else {}


def retries(said):
    return RETRIED | {"num_retries": said["attempts"] - 1 if said else 0}


def fault(said):
    headers = [{"name": name, "string_match": {"exact": value}} for name, value in headers_of(said)]
    abort = {"http_status": said["abort"], "percentage": percent(said.get("percentage", 100))}
    return FAULT | {"abort": abort, "headers": headers}


def headers_of(said):
    return said.get("when", {}).get("headers", {}).items()


def percent(number):
    return {"numerator": round(number * 10_000), "denominator": "MILLION"}


# Which calls


def match(said):
    """Of a route's `match`."""
    asked = [{"name": ":method", "string_match": methods(said["methods"])}] if "methods" in said else []
    asked += [{"name": name, **header(each)} for name, each in said.get("headers", {}).items()]
    query = [{"name": name, **parameter(each)} for name, each in said.get("query", {}).items()]
    found = path(said.get("path", {"prefix": "/"})) | {"headers": asked, "query_parameters": query}
    if "percentage" in said:
        found["runtime_fraction"] = {"default_value": percent(said["percentage"])}
    return found


def path(said):
    """Of what the path has to be."""
    said = {"exact": said} if isinstance(said, str) else dict(said)
    case = {"case_sensitive": not said.pop("ignore_case", False)}
    ((kind, wanted),) = said.items()
    if kind == "template":
        name = "envoy.path.match.uri_template.uri_template_matcher"
        typed = {"@type": f"{KINDS}.path.match.uri_template.v3.UriTemplateMatchConfig", "path_template": wanted}
        return {"path_match_policy": {"name": name, "typed_config": typed}}
    if kind == "regex":
        return {"safe_regex": {"regex": wanted}}
    return {{"exact": "path", "separated_prefix": "path_separated_prefix"}.get(kind, kind): wanted, **case}


def methods(said):
    return {"safe_regex": {"regex": "|".join(each.upper() for each in said)}}


def header(said):
    """Of what a header has to be."""
    said = {"exact": said} if isinstance(said, str) else dict(said)
    more = {"invert_match": said.pop("invert", False)}
    more["treat_missing_header_as_empty"] = said.pop("missing_as_empty", False)
    if "range" in said:
        return more | {"range_match": dict(zip(("start", "end"), said["range"], strict=True))}
    return more | ({"present_match": said["present"]} if "present" in said else {"string_match": text(said)})


def parameter(said):
    said = {"exact": said} if isinstance(said, str) else said
    return {"present_match": said["present"]} if "present" in said else {"string_match": text(said)}


def text(said):
    ((kind, wanted),) = said.items()
    return {"safe_regex": {"regex": wanted}} if kind == "regex" else {kind: wanted}


# What becomes of them


def rewritten(said):
    """Of a route's `rewrite`."""
    rewrite, found = said.get("rewrite", {}), {}
    if "host" in rewrite:
        found["host_rewrite_literal"] = rewrite["host"]
    if "prefix" in rewrite:
        found["prefix_rewrite"] = rewrite["prefix"]
    if "regex" in rewrite:
        found["regex_rewrite"] = by_regex(**rewrite["regex"])
    if "template" in rewrite:
        by_variables = "{" in rewrite["template"]
        found |= by_template(rewrite["template"]) if by_variables else {"prefix_rewrite": rewrite["template"]}
    return found


def by_regex(pattern, to):
    """RE2 replaces what it finds wherever it is, and its groups have numbers only."""
    for name, number in re.compile(pattern).groupindex.items():
        to = to.replace(f"\\g<{name}>", f"\\{number}")
    return {"pattern": {"regex": f"^(?:{pattern})$"}, "substitution": to}


def by_template(to):
    typed = {"@type": f"{KINDS}.path.rewrite.uri_template.v3.UriTemplateRewriteConfig", "path_template_rewrite": to}
    name = "envoy.path.rewrite.uri_template.uri_template_rewriter"
    return {"path_rewrite_policy": {"name": name, "typed_config": typed}}


EDITS = {"set": "OVERWRITE_IF_EXISTS_OR_ADD", "add": "APPEND_IF_EXISTS_OR_ADD"}


def edited(whose, said):
    """Of `request_headers` or `response_headers`."""
    added = [
        {"header": {"key": name, "value": value}, "append_action": EDITS[how]}
        for how, (name, value) in ((how, each) for how in EDITS for each in said.get(how, {}).items())
    ]
    return {f"{whose}_headers_to_add": added, f"{whose}_headers_to_remove": said.get("remove", [])}
