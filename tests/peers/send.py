"""Sends known spans by the OpenTelemetry SDK and prints, as one JSON object, what was sent.

    send.py grpc|http none|gzip ENDPOINT TRACES
"""

import json
import sys
import time

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
import grpc


def exporter(protocol, compression, endpoint):
    if protocol == "grpc":
        kind = grpc.Compression.Gzip if compression == "gzip" else grpc.Compression.NoCompression
        return Grpc(endpoint=endpoint, insecure=True, compression=kind)
    kind = Compression.Gzip if compression == "gzip" else Compression.NoCompression
    return Http(endpoint=endpoint, compression=kind)


def main():
    protocol, compression, endpoint, count = *sys.argv[1:4], int(sys.argv[4])
    resource = Resource.create({
        "service.name": f"shop-{protocol}-{compression}",
        "service.version": "1.2.3",
        "k8s.namespace.name": "shop",
        "k8s.deployment.name": "cart",
        "k8s.pod.name": "cart-7d9f-abcde",
        "k8s.node.name": "node-1",
        "host.name": "cart-7d9f-abcde",
    })
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter(protocol, compression, endpoint), schedule_delay_millis=200))
    tracer = provider.get_tracer("peers")
    sent = {}

    def note(span):
        context = span.get_span_context()
        spans = sent.setdefault(f"{context.trace_id:032x}", {})
        parent = span.parent
        status = span.status
        spans[f"{context.span_id:016x}"] = {
            "parent": f"{parent.span_id:016x}" if parent else None,
            "name": span.name,
            "kind": span.kind.name,
            "start": span.start_time,
            "duration": span.end_time - span.start_time,
            "error": status.status_code == StatusCode.ERROR,
            "message": status.description,
            "attributes": {k: list(v) if isinstance(v, tuple) else v for k, v in span.attributes.items()},
        }

    base = time.time_ns() - 30_000_000_000
    for i in range(count):
        begin = base + i * 1_000_000
        root = tracer.start_span(f"GET /cart/{i % 3}", kind=SpanKind.SERVER, start_time=begin)
        root.set_attribute("http.route", "/cart/{id}")
        root.set_attribute("http.response.status_code", 200)
        root.set_attribute("ratio", 0.25)
        root.set_attribute("cached", False)
        root.set_attribute("tags", ["a", "b"])
        inside = trace.set_span_in_context(root)
        call = tracer.start_span("charge", context=inside, kind=SpanKind.CLIENT, start_time=begin + 1000)
        if i % 4 == 0:
            call.record_exception(ValueError("card refused"))
            call.set_status(Status(StatusCode.ERROR, "payment failed"))
        call.end(end_time=begin + 400_000)
        put = tracer.start_span("orders send", context=inside, kind=SpanKind.PRODUCER, start_time=begin + 2000)
        take = tracer.start_span(
            "orders process", context=trace.set_span_in_context(put), kind=SpanKind.CONSUMER, start_time=begin + 600_000)
        put.end(end_time=begin + 5000)
        root.end(end_time=begin + 500_000)
        take.end(end_time=begin + 900_000)
        for span in (root, call, put, take):
            note(span)
    provider.shutdown()
    json.dump(sent, sys.stdout)


main()
