//! AWS WAF of one region, as far as the fence needs it: web ACLs for user pools, with rules that allow or block by the exact
//! path, or the exact value of a header.
//!
//! WAF inspects the hosted pages and the public operations of a pool. It never inspects an operation that IAM authorises (facts N8).
//!
//! A statement, action or scope that is not implemented is an error. Comments name their source in the same way as those of
//! [`crate::cognito`]; here, `botocore` is the service model of wafv2.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::HeaderValue;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::cognito::{ApiError, Cognito};
use crate::region::ACCOUNT_ID;

type Answer = Result<Value, ApiError>;

/// The source of the fence in the secondary pool's stack, with its tag and the documents that it lets through.
const FENCE: &str = include_str!("../../../cdk/lib/constructs/fence.ts");

/// The prefix of the headers that Cognito itself adds to a request before WAF sees it.
const ADDED_BY_COGNITO: &str = "x-amzn-cognito-";

/// Members of a web ACL that are stored and returned, and have no effect here.
// botocore UpdateWebACL: a member that is not given is removed, because the call "completely replaces the mutable
// specifications" [D].
const KEPT: [&str; 10] = [
    "ApplicationConfig",
    "AssociationConfig",
    "CaptchaConfig",
    "ChallengeConfig",
    "CustomResponseBodies",
    "DataProtectionConfig",
    "Description",
    "MonetizationConfig",
    "OnSourceDDoSProtectionConfig",
    "TokenDomains",
];

/// The web ACLs of one region.
#[derive(Default)]
pub struct Waf {
    acls: Mutex<Vec<Acl>>,
    propagation: Mutex<Duration>,
}

/// A web ACL.
struct Acl {
    /// The web ACL as GetWebACL returns it.
    shown: Map<String, Value>,
    lock_token: String,
    tags: BTreeMap<String, String>,
    /// The ARN of the one resource that it protects.
    resource: String,
    policy: Policy,
    /// The previous rules, which are in force until this time because the last change has not been propagated yet.
    before: Option<(Policy, Instant)>,
}

/// The rules and the default action, which decide whether a request is allowed.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Policy {
    default_action: Action,
    rules: Vec<Rule>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
enum Action {
    Allow {},
    Block {},
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Rule {
    #[serde(rename = "Name")]
    _name: String,
    priority: u32,
    action: Action,
    statement: Statement,
    #[serde(rename = "VisibilityConfig")]
    _visibility: Visibility,
}

#[derive(Clone, Deserialize)]
enum Statement {
    #[serde(rename = "OrStatement")]
    Or(Or),
    #[serde(rename = "ByteMatchStatement")]
    ByteMatch(ByteMatch),
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Or {
    statements: Vec<Statement>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ByteMatch {
    /// In base64, as the API takes it.
    search_string: String,
    field_to_match: Field,
    #[serde(rename = "PositionalConstraint")]
    _constraint: Constraint,
    #[serde(rename = "TextTransformations")]
    _transformations: Vec<Transformation>,
}

#[derive(Clone, Deserialize)]
enum Field {
    #[serde(rename_all = "PascalCase")]
    SingleHeader {
        name: String,
    },
    UriPath {},
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Constraint {
    Exactly,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Transformation {
    #[serde(rename = "Priority")]
    _priority: u32,
    #[serde(rename = "Type")]
    _kind: NoTransformation,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum NoTransformation {
    None,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Visibility {
    #[serde(rename = "SampledRequestsEnabled")]
    _sampled: bool,
    #[serde(rename = "CloudWatchMetricsEnabled")]
    _metrics: bool,
    #[serde(rename = "MetricName")]
    _name: String,
}

/// What WAF sees of a request to a user pool.
pub(crate) struct Inspected {
    path: String,
    headers: HeaderMap,
}

impl Inspected {
    /// A request for a hosted page, or for a public document of a pool.
    // facts N8: "Managed login requests only include the x-amzn-cognito-client-id header" [D].
    pub(crate) fn page(path: &str, headers: &HeaderMap, client: Option<&str>) -> Self {
        let headers = with_client(headers, client);
        let path = path.to_owned();
        Self { path, headers }
    }

    /// A call of a public operation.
    // facts N8: the request includes x-amzn-cognito-operation-name, with a value such as SignUp [D].
    pub(crate) fn operation(operation: &str, headers: &HeaderMap, client: Option<&str>) -> Self {
        let mut headers = with_client(headers, client);
        if let Ok(operation) = HeaderValue::from_str(operation) {
            headers.insert("x-amzn-cognito-operation-name", operation);
        }
        let path = "/".to_owned();
        Self { path, headers }
    }
}

/// The client's headers, without those that only Cognito adds, and with the header that names the app client.
// Whether WAF sees the client's own headers, such as x-amz-target, is not documented. [Inf] It does: that is worse for a rule that
// trusts one of them.
fn with_client(headers: &HeaderMap, client: Option<&str>) -> HeaderMap {
    let own = headers
        .iter()
        .filter(|(name, _)| !name.as_str().starts_with(ADDED_BY_COGNITO));
    let mut headers: HeaderMap = own
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if let Some(client) = client.and_then(|client| HeaderValue::from_str(client).ok()) {
        headers.insert("x-amzn-cognito-client-id", client);
    }
    headers
}

impl Policy {
    /// The first matching rule in order of priority decides; if none matches, the default action does.
    fn allows(&self, request: &Inspected) -> bool {
        let matching = self.rules.iter().filter(|r| r.statement.matches(request));
        let first = matching.min_by_key(|rule| rule.priority);
        let action = first.map_or(&self.default_action, |rule| &rule.action);
        matches!(action, Action::Allow {})
    }
}

impl Statement {
    fn matches(&self, request: &Inspected) -> bool {
        match self {
            Self::Or(or) => or.statements.iter().any(|one| one.matches(request)),
            Self::ByteMatch(one) => {
                let value = match &one.field_to_match {
                    Field::SingleHeader { name } => request
                        .headers
                        .get(name.to_ascii_lowercase())
                        .map(HeaderValue::as_bytes),
                    Field::UriPath {} => Some(request.path.as_bytes()),
                };
                value.is_some_and(|value| STANDARD.encode(value) == one.search_string)
            }
        }
    }
}

impl Acl {
    fn in_force(&self) -> &Policy {
        match &self.before {
            Some((before, until)) if Instant::now() < *until => before,
            _ => &self.policy,
        }
    }

    fn summary(&self) -> Value {
        let mut summary = json!({"LockToken": self.lock_token});
        for member in ["Name", "Id", "ARN", "Description"] {
            if let Some(value) = self.shown.get(member) {
                summary[member] = value.clone();
            }
        }
        summary
    }
}

impl Waf {
    /// Creates the fence of a user pool, open, with the rules that `cdk/lib/constructs/fence.ts` gives it.
    pub fn put_fence(&self, region: &str, resource: &str) {
        let pool = resource.rsplit('/').next().unwrap_or_default();
        let documents = between("export const PUBLIC_DOCUMENTS = [", "]");
        let documents = documents.split('\'').skip(1).step_by(2);
        let statements = documents.map(|document| {
            json!({"ByteMatchStatement": {
                "FieldToMatch": {"UriPath": {}},
                "PositionalConstraint": "EXACTLY",
                "SearchString": STANDARD.encode(format!("/{pool}{document}")),
                "TextTransformations": [{"Priority": 0, "Type": "NONE"}],
            }})
        });
        let statements: Vec<_> = statements.collect();
        let visibility = |name: &str| json!({"SampledRequestsEnabled": true, "CloudWatchMetricsEnabled": true, "MetricName": name});
        let policy = json!({
            "DefaultAction": {"Allow": {}},
            "Rules": [{
                "Name": "public-documents",
                "Priority": 0,
                "Action": {"Allow": {}},
                "Statement": {"OrStatement": {"Statements": statements}},
                "VisibilityConfig": visibility("twinpool-fence-allowed"),
            }],
        });
        // docs/runbook.md shows this id.
        let id = "3f8a2c6e-1d4b-4c7a-9e52-6b0d8f1a2c3e";
        let name = "twinpool-fence";
        let mut shown = json!({
            "Name": name,
            "Id": id,
            "ARN": format!("arn:aws:wafv2:{region}:{ACCOUNT_ID}:regional/webacl/{name}/{id}"),
            "Description": "Fence of the secondary pool: closed to the public on a normal day",
            "VisibilityConfig": visibility("twinpool-fence-blocked"),
            // https://docs.aws.amazon.com/waf/latest/developerguide/waf-rule-statement-type-string-match.html: 2 for an exact match.
            "Capacity": 2 * statements.len(),
            "ManagedByFirewallManager": false,
            "RetrofittedByFirewallManager": false,
            "LabelNamespace": format!("awswaf:{ACCOUNT_ID}:webacl:{name}:"),
        });
        for member in ["DefaultAction", "Rules"] {
            shown[member] = policy[member].clone();
        }
        self.acls().push(Acl {
            shown: shown.as_object().cloned().expect("an object"),
            lock_token: Uuid::new_v4().to_string(),
            tags: [(
                between("export const FENCE_TAG = '", "'").to_owned(),
                "secondary-pool".to_owned(),
            )]
            .into(),
            resource: resource.to_owned(),
            policy: serde_json::from_value(policy).expect("a policy"),
            before: None,
        });
    }

    /// What GetWebACL answers for a web ACL.
    pub fn web_acl(&self, id: &str) -> Option<Value> {
        let acls = self.acls();
        let acl = acls.iter().find(|acl| acl.shown["Id"] == id)?;
        Some(json!({"WebACL": acl.shown, "LockToken": acl.lock_token}))
    }

    /// Sets how long it takes until a change is in force. By default, changes are in force at once.
    // facts 11: seconds to minutes [D].
    pub fn set_propagation(&self, delay: Duration) {
        *self
            .propagation
            .lock()
            .expect("no thread panicked while it held the lock") = delay;
    }

    /// Sets the default action of every web ACL without the API, in force at once.
    pub(crate) fn set_default(&self, allow: bool) {
        for acl in self.acls().iter_mut() {
            let (action, shown) = match allow {
                true => (Action::Allow {}, json!({"Allow": {}})),
                false => (Action::Block {}, json!({"Block": {}})),
            };
            acl.policy.default_action = action;
            acl.shown.insert("DefaultAction".to_owned(), shown);
            acl.lock_token = Uuid::new_v4().to_string();
            acl.before = None;
        }
    }

    /// Whether a request to a resource is allowed; without a resource, whether every web ACL of the region allows it.
    pub(crate) fn allows(&self, resource: Option<&str>, request: &Inspected) -> bool {
        let acls = self.acls();
        let mut before = acls
            .iter()
            .filter(|acl| resource.is_none_or(|resource| acl.resource == resource));
        before.all(|acl| acl.in_force().allows(request))
    }

    /// Serves one request.
    pub(crate) fn call(&self, cognito: &Cognito, operation: &str, body: Value) -> Answer {
        match operation {
            "GetWebACLForResource" => self.get_web_acl_for_resource(cognito, read(body)?),
            "GetWebACL" => self.get_web_acl(read(body)?),
            "ListWebACLs" => self.list_web_acls(read(body)?),
            "UpdateWebACL" => self.update_web_acl(body),
            "ListTagsForResource" => self.list_tags(read(body)?),
            "TagResource" => self.tag(read(body)?),
            "UntagResource" => self.untag(read(body)?),
            other => Err(ApiError::new(
                "UnknownOperationException",
                format!("Operation {other} is not known here."),
            )),
        }
    }

    fn get_web_acl_for_resource(&self, cognito: &Cognito, request: ForResource) -> Answer {
        let acls = self.acls();
        let mut before = acls
            .iter()
            .filter(|acl| acl.resource == request.resource_arn);
        match before.next() {
            Some(acl) => Ok(json!({"WebACL": acl.shown})),
            // botocore GetWebACLForResource: if the resource has no web ACL, the response has none [D].
            None if cognito.has_pool(&request.resource_arn) => Ok(json!({})),
            None => Err(nonexistent()),
        }
    }

    fn get_web_acl(&self, request: GetWebAcl) -> Answer {
        let acls = self.acls();
        let acl = match request {
            GetWebAcl {
                arn: Some(arn),
                name: None,
                id: None,
                scope: None,
            } => acls.iter().find(|acl| acl.shown["ARN"] == arn),
            GetWebAcl {
                arn: None,
                name: Some(name),
                id: Some(id),
                scope: Some(_),
            } => acls
                .iter()
                .find(|acl| acl.shown["Name"] == name && acl.shown["Id"] == id),
            // [Inf]
            _ => return Err(invalid("Either ARN must be given, or Name, Id and Scope.")),
        };
        let acl = acl.ok_or_else(nonexistent)?;
        Ok(json!({"WebACL": acl.shown, "LockToken": acl.lock_token}))
    }

    fn list_web_acls(&self, _request: ListWebAcls) -> Answer {
        let summaries: Vec<_> = self.acls().iter().map(Acl::summary).collect();
        Ok(json!({"WebACLs": summaries}))
    }

    fn update_web_acl(&self, mut body: Value) -> Answer {
        let mut shown = Map::new();
        let members = body.as_object_mut();
        let members = members.ok_or_else(|| invalid("The request is not an object."))?;
        for member in KEPT {
            shown.extend(
                members
                    .remove(member)
                    .map(|value| (member.to_owned(), value)),
            );
        }
        let given = body.clone();
        let request: UpdateWebAcl = read(body)?;
        let policy = Policy {
            default_action: request.default_action,
            rules: request.rules,
        };
        let mut priorities: Vec<_> = policy.rules.iter().map(|rule| rule.priority).collect();
        priorities.sort_unstable();
        if priorities.windows(2).any(|two| two[0] == two[1]) {
            // botocore Rule, Priority: "they must all be different" [D].
            return Err(invalid("Two rules have the same priority."));
        }
        let mut acls = self.acls();
        let acl = acls
            .iter_mut()
            .find(|acl| acl.shown["Name"] == request.name && acl.shown["Id"] == request.id)
            .ok_or_else(nonexistent)?;
        if acl.lock_token != request.lock_token {
            return Err(ApiError::new(
                "WAFOptimisticLockException",
                "AWS WAF couldn’t save your changes because someone changed the resource after you started to edit it. Reapply your changes.",
            ));
        }
        for member in KEPT {
            acl.shown.remove(member);
        }
        shown.insert("Rules".to_owned(), json!([]));
        for member in ["DefaultAction", "VisibilityConfig", "Rules"] {
            if let Some(value) = given.get(member) {
                shown.insert(member.to_owned(), value.clone());
            }
        }
        acl.shown.extend(shown);
        let until = Instant::now()
            + *self
                .propagation
                .lock()
                .expect("no thread panicked while it held the lock");
        acl.before = Some((acl.in_force().clone(), until));
        acl.policy = policy;
        acl.lock_token = Uuid::new_v4().to_string();
        Ok(json!({"NextLockToken": acl.lock_token}))
    }

    /// One page has all tags: AWS allows 50 for each resource.
    fn list_tags(&self, request: ListTags) -> Answer {
        let mut acls = self.acls();
        let acl = by_arn(&mut acls, &request.resource_arn)?;
        let tags: Vec<_> = acl
            .tags
            .iter()
            .map(|(key, value)| json!({"Key": key, "Value": value}))
            .collect();
        Ok(json!({"TagInfoForResource": {"ResourceARN": request.resource_arn, "TagList": tags}}))
    }

    fn tag(&self, request: TagResource) -> Answer {
        let mut acls = self.acls();
        let acl = by_arn(&mut acls, &request.resource_arn)?;
        let tags = request.tags.into_iter().map(|tag| (tag.key, tag.value));
        acl.tags.extend(tags);
        Ok(json!({}))
    }

    fn untag(&self, request: UntagResource) -> Answer {
        let mut acls = self.acls();
        let acl = by_arn(&mut acls, &request.resource_arn)?;
        acl.tags.retain(|key, _| !request.tag_keys.contains(key));
        Ok(json!({}))
    }

    fn acls(&self) -> MutexGuard<'_, Vec<Acl>> {
        self.acls
            .lock()
            .expect("no thread panicked while it held the lock")
    }
}

fn by_arn<'a>(acls: &'a mut [Acl], arn: &str) -> Result<&'a mut Acl, ApiError> {
    let mut acls = acls.iter_mut();
    acls.find(|acl| acl.shown["ARN"] == arn)
        .ok_or_else(nonexistent)
}

/// The text of the fence's source between two others.
fn between(before: &str, after: &str) -> &'static str {
    let (_, rest) = FENCE
        .split_once(before)
        .unwrap_or_else(|| panic!("cdk/lib/constructs/fence.ts has no {before}"));
    rest.split_once(after).expect("it has an end").0
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ListTags {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
    #[serde(rename = "Limit")]
    _limit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct TagResource {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Tag {
    key: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct UntagResource {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
    tag_keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForResource {
    #[serde(rename = "ResourceArn")]
    resource_arn: String,
}

/// Checks the scope. User pools are regional resources; the scope CLOUDFRONT is not implemented.
#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Scope {
    Regional,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct GetWebAcl {
    #[serde(rename = "ARN")]
    arn: Option<String>,
    name: Option<String>,
    id: Option<String>,
    scope: Option<Scope>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ListWebAcls {
    #[serde(rename = "Scope")]
    _scope: Scope,
    /// Lists the web ACLs on one page: no region has more here.
    #[serde(rename = "Limit")]
    _limit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct UpdateWebAcl {
    name: String,
    id: String,
    #[serde(rename = "Scope")]
    _scope: Scope,
    default_action: Action,
    #[serde(default)]
    rules: Vec<Rule>,
    #[serde(rename = "VisibilityConfig")]
    _visibility: Visibility,
    lock_token: String,
}

fn read<T: DeserializeOwned>(body: Value) -> Result<T, ApiError> {
    serde_json::from_value(body).map_err(|e| invalid(&e.to_string()))
}

fn invalid(reason: &str) -> ApiError {
    let message = format!("Error reason: {reason}");
    ApiError::new("WAFInvalidParameterException", message)
}

// This text and that of the lock token's exception are those that the service writes [R].
fn nonexistent() -> ApiError {
    let text = "AWS WAF couldn’t perform the operation because your resource doesn’t exist.";
    ApiError::new("WAFNonexistentItemException", text)
}
