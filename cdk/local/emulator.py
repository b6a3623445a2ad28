"""AWS on this machine: ministack, with the five things it lacks that twinpool needs.

Port, address and everything else come from ministack's own environment variables.
"""

import ministack.app as ministack
from ministack.core.responses import json_response
from ministack.services import cognito, waf
from ministack.services.cloudformation import provisioners


def behind_tls(app):
    """The buckets refuse whoever comes without TLS. Nobody here ends any, so requests say that a proxy did."""

    async def serve(scope, receive, send):
        if scope["type"] == "http":
            scope = {**scope, "headers": [*scope["headers"], (b"x-forwarded-proto", b"https")]}
        await app(scope, receive, send)

    return serve


def with_csv_header(dispatch):
    """GetCSVHeader: the pool's attributes in the order of its schema, then the two columns that are none."""

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


def associate(_logical_id, properties, _stack):
    """AWS::WAFv2::WebACLAssociation: kept, and told to whoever asks for it. No request is blocked by it here."""
    status, _, body = waf._associate_web_acl(properties)
    if status != 200:
        raise ValueError(body)
    return f"{properties['ResourceArn']}|{properties['WebACLArn']}", {}


def disassociate(_physical_id, properties):
    waf._disassociate_web_acl(properties)


def with_metric_math(record):
    """An alarm on an expression: kept as one on the first metric in it."""

    def serve(name, properties):
        metrics = [metric["MetricStat"] for metric in properties.get("Metrics", []) if "MetricStat" in metric]
        if metrics:
            metric = metrics[0]
            properties = properties | metric["Metric"] | {"Period": metric["Period"], "Statistic": metric["Stat"]}
            del properties["Metrics"]
        return record(name, properties)

    return serve


ministack.app = behind_tls(ministack.app)
cognito._dispatch_idp = with_csv_header(cognito._dispatch_idp)
provisioners._cw_metric_alarm_record = with_metric_math(provisioners._cw_metric_alarm_record)
provisioners._RESOURCE_HANDLERS["AWS::WAFv2::WebACLAssociation"] = {"create": associate, "delete": disassociate}
ministack.main()
