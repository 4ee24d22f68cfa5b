"""Which service a request is for: the credential's signing name, then X-Amz-Target, then the Host, then S3's paths.

There is no default service: a request that names nothing we know is refused, it never lands in S3 by falling through.
Signing names that several services share (``es``, ``kinesisanalytics``, ``s3``) are split by asking each service's codec
whether the request is one of its operations. For S3, a bucket in the Host is moved into the path for the codec; the
signature is verified over the path as it was sent.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

from lakebed.ports.service import Service
from lakebed.wire.aws.codec import Codec, codec
from lakebed.wire.aws.message import HttpRequest

# botocore's service names whose signing name differs, and those that share one.
_SIGNED_AS: Mapping[str, Sequence[str]] = {
    "es": ("opensearch", "es"),
    "iotdata": ("iot-data",),
    "iotdevicegateway": ("iot-data",),
    "kinesisanalytics": ("kinesisanalyticsv2", "kinesisanalytics"),
    "elasticmapreduce": ("emr",),
    "states": ("stepfunctions",),
    "monitoring": ("cloudwatch",),
    "tagging": ("resourcegroupstaggingapi",),
    "s3express": ("s3",),
}
ANYBODYS_LINKS = ("ConfirmSubscription", "Unsubscribe")  # of SNS, without a signature
_S3_HOST = re.compile(r"(.+?)\.s3(?:-accesspoint)?[.-].+")
_NEVER_A_BUCKET = re.compile(r"[\d.]+|\[.*|.*:.*|[^.]*|.*\.amazonaws\.com")
_SERVICE = re.compile(r"[a-z0-9-]{1,64}")
_HOST_PREFIXES: Mapping[str, str] = {
    "data-ats.iot": "iot-data",
    "data.iot": "iot-data",
    "data.jobs.iot": "iot-jobs-data",
}


@dataclass(frozen=True, slots=True)
class Target:
    """The service a request is for. ``codec`` is None where it is not built; ``request`` is the one the codec
    reads (for S3: path style)."""

    service: str
    codec: Codec | None
    request: HttpRequest
    built: Service | None


class Route:
    """Finds targets among the services of a registry."""

    def __init__(
        self,
        registry: Mapping[str, Service],
        virtual_host_suffixes: Sequence[str],
        bucket_exists: Callable[[str], bool] | None = None,
    ) -> None:
        self._registry, self._bucket_exists = registry, bucket_exists
        self._own = platform.node().lower()
        self._suffixes = sorted((suffix.lower() for suffix in virtual_host_suffixes), key=len, reverse=True)
        self._prefixes: dict[str, str] = {}

    def identify(self, request: HttpRequest, signing_name: str | None) -> Target | None:
        """The target, or None where the request names no service at all."""
        if signing_name is not None:
            return self._signed(request, signing_name)
        service = self._by_target(request) or self._by_host(request)
        if service is not None:
            return self._target(service, request)
        if "sns" in self._registry and _is_link(request):
            return self._target("sns", request)
        if "s3" in self._registry:
            target = self._target("s3", request)
            if target.codec is not None and target.codec.identify(target.request) is not None:
                return target
        return None

    def _signed(self, request: HttpRequest, signing_name: str) -> Target:
        names = _SIGNED_AS.get(signing_name, (signing_name,))
        if signing_name == "s3":
            names = ("s3control",) if _is_s3control(request) else ("s3",)
        candidates = [name for name in names if name in self._registry] or names[:1]
        targets = [self._target(name, request) for name in candidates]
        for target in targets[:-1]:
            if target.codec is not None and target.codec.identify(target.request) is not None:
                return target
        return targets[-1]

    def _by_target(self, request: HttpRequest) -> str | None:
        prefix, dot, _ = request.headers.get("x-amz-target", "").rpartition(".")
        if not dot:
            return None
        if prefix not in self._prefixes:
            known = {made.target_prefix: name for name in self._registry if (made := codec(name)).target_prefix}
            self._prefixes = {str(key): name for key, name in known.items()}
        return self._prefixes.get(prefix)

    def _by_host(self, request: HttpRequest) -> str | None:
        host = host_name(request)
        for prefix, service in _HOST_PREFIXES.items():
            if f".{prefix}." in f".{host}" and service in self._registry:
                return service
        if self.bucket_of(host) is not None and "s3" in self._registry:
            return "s3"
        if not host.endswith(".amazonaws.com"):
            return None
        first = host.partition(".")[0]
        return next((name for name in _SIGNED_AS.get(first, (first,)) if name in self._registry), None)

    def _target(self, service: str, request: HttpRequest) -> Target:
        # Models of services that are not built are read only for callers whose signature was verified.
        found = codec(service) if service in self._registry else None
        if service == "s3":
            bucket = self.bucket_of(host_name(request), request.raw_path)
            if bucket is not None:
                request = replace(request, raw_path=f"/{bucket}{request.raw_path}")
        return Target(service, found, request, self._registry.get(service))

    def bucket_of(self, host: str, raw_path: str = "/") -> str | None:
        """The bucket, or access point, that a virtual-hosted Host names.

        Below a configured suffix everything is one; so it is before ``.s3.``, ``.s3-…`` of any host. Elsewhere the first
        labels are a bucket where one of that name exists and the path does not begin with another that exists: a host
        of one's own should be among the suffixes.
        """
        for suffix in self._suffixes:
            if host == suffix:
                return None
            if host.endswith(f".{suffix}"):
                return host[: -len(suffix) - 1]
        if (found := _S3_HOST.fullmatch(host)) is not None:
            return found[1]
        if self._bucket_exists is None or host == self._own or _NEVER_A_BUCKET.fullmatch(host):
            return None
        labels, first = host.split("."), unquote(raw_path.removeprefix("/").partition("/")[0])
        for count in range(1, len(labels)):
            bucket = ".".join(labels[:count])
            if self._bucket_exists(bucket):
                return None if first and self._bucket_exists(first) else bucket
        return None


def _is_link(request: HttpRequest) -> bool:
    """A link of an SNS message, opened by whoever received it."""
    action = request.query.partition("&")[0].removeprefix("Action=")
    return request.method == "GET" and request.raw_path == "/" and action in ANYBODYS_LINKS


def _is_s3control(request: HttpRequest) -> bool:
    """S3 Control signs as S3 and lives below a path of its own, with the account in a header."""
    return request.raw_path.startswith("/v20180820/") and "x-amz-account-id" in request.headers


def host_name(request: HttpRequest) -> str:
    """The Host without its port, in lower case."""
    host = request.headers.get("host", "").lower()
    return host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host


def named_operation(service: str, request: HttpRequest) -> str | None:
    """The operation of a service that is not built, where botocore knows the service."""
    if not _SERVICE.fullmatch(service):
        return None
    try:
        match = codec(service).identify(request)
    except (LookupError, OSError):
        return None
    return None if match is None else match.operation
