"""Each field of Istio's and of the Gateway API's that is known here: what it becomes, or why nothing.

The one place that knows: what an import leaves out is told from here, and the table in the docs is made of it. A row
with `no` speaks for all below it. `[]` is each of a list, `*` each of a map, `{a,b}` either.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """What a field becomes: a setting, or nothing and why; `why` beside a setting says what of it does not."""

    to: str
    why: str = ""


def no(why: str) -> Field:
    """Nothing here."""
    return Field("", why)


_POOLS = "no fixed caps of connections and requests: the client's own pool, and `limits`"
_WHO = "who calls is known only where he runs: put the route into his settings alone"
_GATEWAY = "of gateways: routes here are for calls between services"
_FILES = "a file of the proxy's: name your own in `tls`"
_ELSEWHERE = "who may see it is a matter of the cluster"

_COPIES = "without credentials, unless `mirror.without` is empty"

_TRAFFIC = {
    "loadBalancer.simple": Field("strategy", "`PASSTHROUGH` is none"),
    "loadBalancer.consistentHash.{httpHeaderName,httpQueryParameterName}": Field("strategy.ring_hash.key"),
    "loadBalancer.consistentHash.httpCookie.name": Field("strategy.ring_hash.key"),
    "loadBalancer.consistentHash.httpCookie.{ttl,path,attributes}": no("no cookie is set: who has none has no key"),
    "loadBalancer.consistentHash.useSourceIp": no("the caller is this process: all its calls have one address"),
    "loadBalancer.consistentHash.{minimumRingSize,ringHash.minimumRingSize}": Field(
        "strategy.ring_hash.minimum_ring_size"
    ),
    "loadBalancer.consistentHash.maglev.tableSize": Field("strategy.maglev.table_size"),
    "loadBalancer.{warmupDurationSecs,warmup.duration}": Field("slow_start"),
    "loadBalancer.warmup.{minimumPercent,aggression}": no("a slow start begins at 10 % and is linear"),
    "loadBalancer.localityLbSetting.enabled": Field("locality.mode", "`false` is `off`"),
    "loadBalancer.localityLbSetting": no("`locality` has other words for it"),
    "connectionPool.tcp.connectTimeout": Field("connect_timeout"),
    "connectionPool": no(_POOLS),
    "outlierDetection.consecutive5xxErrors": Field("ejection.consecutive, .refused, .connect_timeouts", "not 0"),
    "outlierDetection.consecutiveLocalOriginFailures": Field("ejection.refused, .connect_timeouts"),
    "outlierDetection.splitExternalLocalOriginErrors": no("connections are counted apart from answers in any case"),
    "outlierDetection.baseEjectionTime": Field("ejection.base"),
    "outlierDetection.maxEjectionPercent": Field("ejection.max_share"),
    "outlierDetection.minHealthPercent": Field("panic", "while the guard is on"),
    "outlierDetection.interval": no("a row of failures is seen at once, not at intervals"),
    "outlierDetection.{consecutiveGatewayErrors,consecutiveErrors}": no("a row is one of all failures"),
    "tls.mode": Field("tls", "`SIMPLE` and `MUTUAL`: call `https://`; `ISTIO_MUTUAL` is none"),
    "tls.sni": Field("tls.server_name"),
    "tls.{caCertificates,clientCertificate,privateKey}": no(_FILES),
    "tls": no("the client checks the certificate for the service's name"),
    "tunnel": no("no tunnels"),
    "proxyProtocol": no("no proxy protocol"),
    "retryBudget.percent": Field("retry.budget.ratio"),
    "retryBudget.minRetryConcurrency": Field("retry.budget.minimum"),
}  # fmt: skip

_HEADERS = {
    "headers.request.{set,add,remove}": Field("request_headers", "`%...%` is not replaced; `host` is `rewrite.host`"),
    "headers.response.{set,add,remove}": Field("response_headers"),
}


def _under(prefix: str, rows: dict[str, Field]) -> dict[str, Field]:
    return {f"{prefix}.{path}": field for path, field in rows.items()}


FIELDS: dict[str, dict[str, Field]] = {
    "VirtualService": {
        "hosts": Field("match.service", "not those with `*`"),
        "gateways": Field("routes", _GATEWAY),
        "exportTo": no(_ELSEWHERE),
        "{tcp,tls}": no("HTTP only"),
        "http[].name": Field("name"),
        "http[].match[].name": Field("name"),
        "http[].match[].uri.{exact,prefix,regex}": Field("match.path"),
        "http[].match[].ignoreUriCase": Field("match.path.ignore_case"),
        "http[].match[].method.{exact,regex}": Field("match.methods", "a regex of alternatives"),
        "http[].match[].headers.*.{exact,prefix,regex}": Field("match.headers"),
        "http[].match[].withoutHeaders.*.{exact,prefix,regex}": Field("match.headers", "inverted, missing as empty"),
        "http[].match[].queryParams.*.{exact,prefix,regex}": Field("match.query"),
        "http[].match[].port": Field("match.service"),
        "http[].match[].gateways": Field("routes", _GATEWAY),
        "http[].match[].{sourceLabels,sourceNamespace}": no(_WHO),
        "http[].match[].{scheme,authority,method}": no("calls are found by the service that is asked"),
        "http[].match[].statPrefix": no("no names of statistics"),
        "http[].route[].destination.{host,port.number}": Field("split"),
        "http[].route[].destination.subset": Field("split", "a service of its own for each subset"),
        "http[].route[].weight": Field("split"),
        **_under("http[].route[]", _HEADERS),
        **_under("http[]", _HEADERS),
        "http[].directResponse.status": Field("respond.status"),
        "http[].directResponse.body.string": Field("respond.body"),
        "http[].directResponse.body": no("text only"),
        "http[].rewrite.uri": Field("rewrite.prefix, rewrite.template"),
        "http[].rewrite.uriRegexRewrite.{match,rewrite}": Field("rewrite.regex", "of a pattern from ^ to $"),
        "http[].rewrite.authority": Field("rewrite.host"),
        "http[].timeout": Field("timeout"),
        "http[].retries.attempts": Field("retry.attempts", "one more, 10 at most"),
        "http[].retries.retryOn": Field("retry.on, .statuses", "not gRPC's conditions"),
        "http[].retries.backoff": Field("retry.base, .cap"),
        "http[].retries.perTryTimeout": no("`attempt_timeout` is a service's"),
        "http[].retries": no("another endpoint is tried first, wherever it is"),
        "http[].fault.delay.{fixedDelay,percentage.value,percent}": Field("faults"),
        "http[].fault.abort.{httpStatus,percentage.value}": Field("faults", "400 to 599"),
        "http[].fault": no("HTTP's status only"),
        "http[].redirect": no("the client is sent nowhere else; `redirect` here leads to another service's routes"),
        "http[].mirror.{host,port.number,subset}": Field("mirror", _COPIES),
        "http[].{mirrorPercentage.value,mirrorPercent,mirror_percent}": Field("mirror.percentage"),
        "http[].mirrors[].destination.{host,port.number,subset}": Field("mirror", _COPIES),
        "http[].mirrors[].percentage.value": Field("mirror.percentage"),
        "http[].corsPolicy": no("browsers ask the server itself"),
        "http[].delegate": no("put the rules of the delegate into the same VirtualService"),
    },
    "DestinationRule": {
        "host": Field("services"),
        **_under("trafficPolicy", _TRAFFIC),
        "trafficPolicy.portLevelSettings[].port.number": Field("services"),
        **_under("trafficPolicy.portLevelSettings[]", _TRAFFIC),
        "subsets[].{name,labels}": Field("services", "those of its endpoints that have the labels"),
        **_under("subsets[].trafficPolicy", _TRAFFIC),
        "subsets[].trafficPolicy.portLevelSettings": no("a subset's policy is for all of its ports"),
        "exportTo": no(_ELSEWHERE),
        "workloadSelector": no(_WHO),
    },
    "ServiceEntry": {
        "hosts": Field("services", "not those with `*`"),
        "ports[].{number,name,targetPort}": Field("services", "the name has a port unless it is 80 or 443"),
        "ports[].protocol": Field("services.<name>.tls", "`HTTPS` and `TLS`; HTTP only"),
        "resolution": Field("endpoints", "`NONE` and `DNS`: the host itself"),
        "endpoints[].{address,ports}": Field("endpoints[].address"),
        "endpoints[].labels": Field("endpoints[].metadata"),
        "endpoints[].locality": Field("endpoints[].locality"),
        "endpoints[].weight": Field("endpoints[].weight"),
        "endpoints[].{network,serviceAccount}": no("addresses are reached directly"),
        "location": no("an external service is one like any other"),
        "addresses": no("calls are found by name"),
        "exportTo": no(_ELSEWHERE),
        "workloadSelector": no("pods are not looked up: list `endpoints`, or set `discovery`"),
        "subjectAltNames": no("the client checks the certificate for the service's name"),
    },
    "HTTPRoute": {
        "parentRefs": Field("match.service", "a `Service`; " + _GATEWAY),
        "hostnames": no("of gateways: the parent Service is what is called"),
        "rules[].name": Field("name"),
        "rules[].matches[].path.{type,value}": Field("match.path"),
        "rules[].matches[].headers[].{type,name,value}": Field("match.headers"),
        "rules[].matches[].queryParams[].{type,name,value}": Field("match.query"),
        "rules[].matches[].method": Field("match.methods"),
        "rules[].filters[].type": Field("request_headers, response_headers, rewrite"),
        "rules[].filters[].requestHeaderModifier.{set,add,remove}": Field("request_headers"),
        "rules[].filters[].responseHeaderModifier.{set,add,remove}": Field("response_headers"),
        "rules[].filters[].urlRewrite.hostname": Field("rewrite.host"),
        "rules[].filters[].urlRewrite.path.{type,replaceFullPath,replacePrefixMatch}": Field(
            "rewrite.template, rewrite.prefix"
        ),
        "rules[].filters[].requestMirror.backendRef.{group,kind,name,namespace,port}": Field("mirror", _COPIES),
        "rules[].filters[].requestMirror.{percent,fraction.numerator,fraction.denominator}": Field("mirror.percentage"),
        "rules[].filters[].requestRedirect": no("the client is sent nowhere else"),
        "rules[].filters[]": no("not one of the filters that are known here"),
        "rules[].backendRefs[].{group,kind,name,namespace,port}": Field("split", "a `Service`"),
        "rules[].backendRefs[].weight": Field("split"),
        "rules[].backendRefs[].filters": no("filters of a rule only"),
        "rules[].timeouts.request": Field("timeout"),
        "rules[].timeouts.backendRequest": no("`attempt_timeout` is a service's"),
        "rules[].retry.attempts": Field("retry.attempts", "one more, 10 at most"),
        "rules[].retry.codes": Field("retry.statuses"),
        "rules[].retry.backoff": Field("retry.base, .cap"),
        "rules[].sessionPersistence": no("no cookie is set"),
    },
}
"""By kind, below `spec`."""

_BRACES = re.compile(r"\{([^}]*)\}")


def _spread(path: str) -> Iterator[str]:
    found = _BRACES.search(path)
    if found is None:
        yield path
        return
    for each in found[1].split(","):
        yield from _spread(path[: found.start()] + each + path[found.end() :])


ROWS = {
    kind: {each: field for path, field in fields.items() for each in _spread(path)} for kind, fields in FIELDS.items()
}
"""The same, each path by itself."""


def markdown() -> str:
    """A table for each kind: its fields, what they become, and what is not taken over."""
    tables = []
    for kind, fields in FIELDS.items():
        rows = [f"| `{path}` | {_code(field.to)} | {field.why} |" for path, field in fields.items()]
        tables += [f"### {kind}", "", "| below `spec` | here | |", "|---|---|---|", *rows, ""]
    return "\n".join(tables)


def _code(to: str) -> str:
    return ", ".join(f"`{each}`" for each in to.split(", ")) if to else "nothing"
