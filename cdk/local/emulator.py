"""The AWS emulator ministack, with additions for four features that twinpool needs and ministack lacks.

It is configured by ministack's own environment variables, such as GATEWAY_PORT.
"""

import ministack.app as ministack
from ministack.core.responses import json_response
from ministack.services import cognito, waf
from ministack.services.cloudformation import provisioners


def with_tls_header(app):
    """Adds the header of a proxy that received the request over TLS. The buckets reject requests without TLS."""

    async def serve(scope, receive, send):
        if scope["type"] == "http":
            scope = {**scope, "headers": [*scope["headers"], (b"x-forwarded-proto", b"https")]}
        await app(scope, receive, send)

    return serve


def with_csv_header(dispatch):
    """Adds GetCSVHeader: the attributes in the order of the schema, then the two columns that are not attributes."""

    async def serve(action, data):
        if action != "GetCSVHeader":
            return await dispatch(action, data)
        pool, error = cognito._resolve_pool(data["UserPoolId"])
        if error:
            return error
        attributes = [attribute["Name"] for attribute in pool["SchemaAttributes"]]
        header = [name for name in attributes if name not in ("sub", "identities")]
        header += ["cognito:mfa_enabled", "cognito:username"]
        return json_response({"UserPoolId": pool["Id"], "CSVHeader": header})

    return serve


def create_association(_logical_id, properties, _stack):
    """Adds AWS::WAFv2::WebACLAssociation: stores the association. ministack blocks no request because of it."""
    status, _, body = waf._associate_web_acl(properties)
    if status != 200:
        raise ValueError(body)
    return f"{properties['ResourceArn']}|{properties['WebACLArn']}", {}


def delete_association(_physical_id, properties):
    waf._disassociate_web_acl(properties)


def with_metric_math(record):
    """Adds alarms on an expression: stores an alarm on the first metric of the expression."""

    def serve(name, properties):
        metrics = [metric["MetricStat"] for metric in properties.get("Metrics", []) if "MetricStat" in metric]
        if metrics:
            metric = metrics[0]
            properties = properties | metric["Metric"] | {"Period": metric["Period"], "Statistic": metric["Stat"]}
            del properties["Metrics"]
        return record(name, properties)

    return serve


ministack.app = with_tls_header(ministack.app)
cognito._dispatch_idp = with_csv_header(cognito._dispatch_idp)
provisioners._cw_metric_alarm_record = with_metric_math(provisioners._cw_metric_alarm_record)
provisioners._RESOURCE_HANDLERS["AWS::WAFv2::WebACLAssociation"] = {
    "create": create_association,
    "delete": delete_association,
}
ministack.main()
