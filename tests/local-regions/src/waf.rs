//! AWS WAF of one region, as far as the fence needs it: web ACLs for user pools, with rules that allow or block by the exact
//! value of a header.
//!
//! A statement, action or scope that is not implemented is an error. Comments name their source in the same way as those of
//! [`crate::cognito`]; here, `botocore` is the service model of wafv2.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::cognito::{ApiError, Cognito};
use crate::region::ACCOUNT_ID;

type Answer = Result<Value, ApiError>;

/// The source of the secondary pool's stack that lists the operations which the fence lets through.
const OPERATIONS: &str = include_str!("../../../cdk/lib/cognito-operations.ts");

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
    SingleHeader { name: String },
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

impl Policy {
    /// The first matching rule in order of priority decides; if none matches, the default action does.
    fn allows(&self, headers: &HeaderMap) -> bool {
        let matching = self.rules.iter().filter(|r| r.statement.matches(headers));
        let first = matching.min_by_key(|rule| rule.priority);
        let action = first.map_or(&self.default_action, |rule| &rule.action);
        matches!(action, Action::Allow {})
    }
}

impl Statement {
    fn matches(&self, headers: &HeaderMap) -> bool {
        match self {
            Self::Or(or) => or.statements.iter().any(|one| one.matches(headers)),
            Self::ByteMatch(one) => {
                let Field::SingleHeader { name } = &one.field_to_match;
                let value = headers.get(name.to_ascii_lowercase());
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
    /// Creates the fence of a user pool, open, with the rules that `cdk/lib/fence.ts` gives it.
    pub fn put_fence(&self, region: &str, resource: &str) {
        let (_, list) = OPERATIONS
            .split_once("export const BY_IAM = [")
            .expect("the source of the stack has the list");
        let (list, _) = list.split_once(']').expect("the list has an end");
        let operations = list.split('\'').skip(1).step_by(2);
        let statements = operations.map(|operation| {
            json!({"ByteMatchStatement": {
                "FieldToMatch": {"SingleHeader": {"Name": "x-amz-target"}},
                "PositionalConstraint": "EXACTLY",
                "SearchString": STANDARD.encode(format!("AWSCognitoIdentityProviderService.{operation}")),
                "TextTransformations": [{"Priority": 0, "Type": "NONE"}],
            }})
        });
        let statements: Vec<_> = statements.collect();
        let visibility = |name: &str| json!({"SampledRequestsEnabled": true, "CloudWatchMetricsEnabled": true, "MetricName": name});
        let policy = json!({
            "DefaultAction": {"Allow": {}},
            "Rules": [{
                "Name": "authorised-by-iam",
                "Priority": 0,
                "Action": {"Allow": {}},
                "Statement": {"OrStatement": {"Statements": statements}},
                "VisibilityConfig": visibility("twinpool-fence-allowed"),
            }],
        });
        let id = Uuid::new_v4().to_string();
        let name = "twinpool-fence";
        let mut shown = json!({
            "Name": name,
            "Id": id,
            "ARN": format!("arn:aws:wafv2:{region}:{ACCOUNT_ID}:regional/webacl/{name}/{id}"),
            "Description": "The fence of the secondary pool: closed but for operations that Cognito authorises by IAM",
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
            resource: resource.to_owned(),
            policy: serde_json::from_value(policy).expect("a policy"),
            before: None,
        });
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

    /// Whether a request to a resource is allowed.
    pub(crate) fn allows(&self, resource: &str, headers: &HeaderMap) -> bool {
        let acls = self.acls();
        let mut before = acls.iter().filter(|acl| acl.resource == resource);
        before.all(|acl| acl.in_force().allows(headers))
    }

    /// Serves one request.
    pub(crate) fn call(&self, cognito: &Cognito, operation: &str, body: Value) -> Answer {
        match operation {
            "GetWebACLForResource" => self.get_web_acl_for_resource(cognito, read(body)?),
            "GetWebACL" => self.get_web_acl(read(body)?),
            "ListWebACLs" => self.list_web_acls(read(body)?),
            "UpdateWebACL" => self.update_web_acl(body),
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

    fn acls(&self) -> MutexGuard<'_, Vec<Acl>> {
        self.acls
            .lock()
            .expect("no thread panicked while it held the lock")
    }
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
