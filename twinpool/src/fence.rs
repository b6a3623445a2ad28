//! `twinpool fence`: opens and closes the web ACL before the secondary pool, which `cdk/lib/fence.ts` makes.

use std::fmt;

use aws_sdk_cognitoidentityprovider as cognito;
use aws_sdk_wafv2::Client;
use aws_sdk_wafv2::types::Scope;
use serde::Serialize;
use serde_json::{Value, json};
use shared::aws::{AwsError, Patience, Sdk};
use shared::pool::PoolId;

use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::raw::{self, Answer, Object};
use crate::terminal::{GOOD, WARN};

/// Open or close the fence of the secondary pool, or say how it stands
///
/// The fence is a WAF web ACL. Closed, as on a normal day, it lets only operations through that Cognito authorises by IAM; open, in a
/// failover, everything. Changes the default action of the web ACL and nothing else of it. A change takes seconds to minutes to
/// reach all of Cognito.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// What to do.
    #[arg(value_enum)]
    action: Action,

    /// The pool behind the fence.
    #[arg(long, env = "TWINPOOL_SECONDARY", value_name = "POOL_ID")]
    pool: PoolId,

    /// Only show what would change.
    #[arg(long)]
    dry_run: bool,
}

const HELP: &str = "\
Example:
  twinpool fence open --pool ap-northeast-3_AbCdEf123

Exit codes:
  0  done, or nothing to do
  1  the pool has no fence
  2  bad usage
  3  AWS refused or did not answer

Permissions: cognito-idp:DescribeUserPool, cognito-idp:GetWebACLForResource, wafv2:GetWebACLForResource, wafv2:GetWebACL,
and to open or close it wafv2:UpdateWebACL";

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Action {
    /// Let everything through: people can sign in, sign up and reset their passwords.
    Open,
    /// Let only operations through that Cognito authorises by IAM.
    Close,
    /// Change nothing, and say how it stands.
    Status,
}

/// How a fence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It lets only operations through that Cognito authorises by IAM.
    Closed,
    /// It lets everything through.
    Open,
}

impl State {
    fn default_action(self) -> Value {
        match self {
            Self::Closed => json!({"Block": {}}),
            Self::Open => json!({"Allow": {}}),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Open => "open",
        })
    }
}

/// What stands before a pool.
#[derive(Clone, Debug, PartialEq)]
pub enum Gate {
    /// No web ACL.
    None,
    /// A web ACL of this name that is not twinpool's.
    Foreign(String),
    /// The fence.
    Fence(Fence),
}

/// The rule by which the fence is known, as `cdk/lib/fence.ts` names it.
const RULE: &str = "authorised-by-iam";

/// What GetWebACL gives and UpdateWebACL does not take (botocore 1.44.5: WebACL less UpdateWebACLRequest).
const FIXED: [&str; 7] = [
    "ARN",
    "Capacity",
    "LabelNamespace",
    "ManagedByFirewallManager",
    "PostProcessFirewallManagerRuleGroups",
    "PreProcessFirewallManagerRuleGroups",
    "RetrofittedByFirewallManager",
];

/// What UpdateWebACL takes of it (botocore 1.44.5: UpdateWebACLRequest).
const WRITABLE: [&str; 15] = [
    "ApplicationConfig",
    "AssociationConfig",
    "CaptchaConfig",
    "ChallengeConfig",
    "CustomResponseBodies",
    "DataProtectionConfig",
    "DefaultAction",
    "Description",
    "Id",
    "MonetizationConfig",
    "Name",
    "OnSourceDDoSProtectionConfig",
    "Rules",
    "TokenDomains",
    "VisibilityConfig",
];

impl Gate {
    /// What stands before a pool, found by the pool's ARN.
    pub async fn of(client: &Client, arn: &str) -> Result<Self, AwsError> {
        let answer = Answer::default();
        client
            .get_web_acl_for_resource()
            .resource_arn(arn)
            .customize()
            .interceptor(answer.clone())
            .send()
            .await
            .map_err(|error| AwsError::of("GetWebACLForResource", arn, &error))?;
        // botocore: "If there is no associated resource, WAF returns a null web ACL".
        Ok(answer.object("WebACL").map_or(Self::None, Self::from))
    }
}

impl From<Object> for Gate {
    fn from(acl: Object) -> Self {
        let acl = Fence(acl);
        let rules = acl.0.get("Rules").and_then(Value::as_array);
        let is_fence = rules
            .into_iter()
            .flatten()
            .any(|rule| rule.get("Name").and_then(Value::as_str) == Some(RULE));
        if is_fence {
            Self::Fence(acl)
        } else {
            Self::Foreign(acl.text("Name").to_owned())
        }
    }
}

/// The fence, as GetWebACL shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fence(Object);

impl Fence {
    /// How it stands.
    pub fn state(&self) -> State {
        let allows = self
            .0
            .get("DefaultAction")
            .and_then(|action| action.get("Allow"));
        if allows.is_some() {
            State::Open
        } else {
            State::Closed
        }
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// The members that this version does not know how to write back.
    fn unknown(&self) -> Vec<&str> {
        let names = self.0.keys().map(String::as_str);
        names
            .filter(|name| !FIXED.contains(name) && !WRITABLE.contains(name))
            .collect()
    }

    /// The request that changes how it stands, and nothing else.
    fn request(&self, state: State, lock_token: &str) -> Object {
        let mut request = self.0.clone();
        request.retain(|name, _| WRITABLE.contains(&name.as_str()));
        if self.text("Description").is_empty() {
            // botocore EntityDescription: at least one character; WAF shows none as an empty one.
            request.remove("Description");
        }
        request.insert("DefaultAction".to_owned(), state.default_action());
        request.insert("Scope".to_owned(), Scope::Regional.as_str().into());
        request.insert("LockToken".to_owned(), lock_token.into());
        request
    }

    /// Changes how it stands.
    async fn set(&self, client: &Client, state: State) -> Result<(), Failure> {
        let (name, id) = (self.text("Name"), self.text("Id"));
        // The state of another moment must not be written back, so it is read together with its lock.
        let answer = Answer::default();
        let locked = client
            .get_web_acl()
            .name(name)
            .id(id)
            .scope(Scope::Regional)
            .customize()
            .interceptor(answer.clone())
            .send()
            .await
            .map_err(|error| AwsError::of("GetWebACL", name, &error))?;
        let hollow = |missing| AwsError::hollow("GetWebACL", name, missing);
        let fence = Self(answer.object("WebACL").ok_or_else(|| hollow("a web ACL"))?);
        let token = locked.lock_token().ok_or_else(|| hollow("a lock token"))?;
        let unknown = fence.unknown();
        if !unknown.is_empty() {
            return Err(Failure::Wrong(format!(
                "the web ACL {name} has settings that this version of twinpool does not know and might reset: {}; change its \
                 default action in the console of AWS WAF",
                unknown.join(", ")
            )));
        }
        client
            .update_web_acl()
            .customize()
            .mutate_request(raw::request(fence.request(state, token)))
            .send()
            .await
            .map_err(|error| Failure::Explained {
                error: AwsError::of("UpdateWebACL", name, &error),
            })?;
        Ok(())
    }
}

/// A WAF client for a pool's region.
pub fn waf(sdk: &Sdk, pool: &PoolId, patience: Patience) -> Client {
    Client::new(&sdk.config(pool.region(), patience))
}

/// The ARN of a pool, which Cognito alone knows, because of the account in it.
async fn arn(client: &cognito::Client, pool: &PoolId) -> Result<String, AwsError> {
    let answer = client
        .describe_user_pool()
        .user_pool_id(pool.as_str())
        .send()
        .await
        .map_err(|error| AwsError::of("DescribeUserPool", pool, &error))?;
    let arn = answer.user_pool.and_then(|pool| pool.arn);
    arn.ok_or_else(|| AwsError::hollow("DescribeUserPool", pool, "an ARN"))
}

#[derive(Debug, Serialize)]
struct Report {
    pool: String,
    web_acl: String,
    before: State,
    now: State,
    dry_run: bool,
}

/// Runs the command.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    let Args {
        action,
        pool,
        dry_run,
    } = args;
    let sdk = context.sdk().await?;
    let arn = arn(&sdk.cognito(&pool, Patience::WORKER), &pool).await?;
    let client = waf(&sdk, &pool, Patience::WORKER);
    let fence = match Gate::of(&client, &arn).await? {
        Gate::Fence(fence) => fence,
        gate => return Err(no_fence(&pool, &gate)),
    };
    let before = fence.state();
    let wanted = match action {
        Action::Open => State::Open,
        Action::Close => State::Closed,
        Action::Status => before,
    };
    if wanted != before && !dry_run {
        match fence.set(&client, wanted).await {
            Err(Failure::Explained { error }) if error.code() == "WAFOptimisticLockException" => {
                // Somebody else changed it in between: once more, from what it is now.
                fence.set(&client, wanted).await?;
            }
            set => set?,
        }
    }
    context.terminal.show(&Report {
        pool: pool.to_string(),
        web_acl: fence.text("Name").to_owned(),
        before,
        now: wanted,
        dry_run,
    })?;
    Ok(Verdict::Good)
}

fn no_fence(pool: &PoolId, gate: &Gate) -> Failure {
    let advice =
        "the stack of the secondary pool makes the fence: docs/deploy.md, \"What is made\"";
    Failure::Wrong(match gate {
        Gate::Foreign(name) => format!(
            "the web ACL {name} before {pool} is not the fence: it has no rule {RULE}, and is left alone; {advice}"
        ),
        _ => format!("the pool {pool} has no fence: no web ACL is before it; {advice}"),
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pool,
            web_acl,
            before,
            now,
            ..
        } = self;
        let style = match now {
            State::Closed => GOOD,
            State::Open => WARN,
        };
        write!(f, "fence of {pool} (web ACL {web_acl}): ")?;
        if before == now {
            write!(f, "{style}{now}{style:#}")
        } else if self.dry_run {
            write!(f, "{before}; would be {now}, but this was a dry run")
        } else {
            write!(
                f,
                "was {before}, now {style}{now}{style:#}; it takes seconds to minutes to reach all of Cognito"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(acl: Value) -> Object {
        match acl {
            Value::Object(acl) => acl,
            _ => panic!("an object"),
        }
    }

    fn fence() -> Object {
        acl(json!({
            "Name": "fence", "Id": "id", "ARN": "arn", "Capacity": 300, "Description": "",
            "DefaultAction": {"Block": {}},
            "Rules": [{"Name": "authorised-by-iam", "Statement": {"NewInWaf": {}}}],
            "VisibilityConfig": {"MetricName": "m"}, "TokenDomains": ["example.jp"],
        }))
    }

    #[test]
    fn the_fence_is_known_by_its_rule() {
        let mut other = fence();
        other["Rules"][0]["Name"] = "rate-limit".into();

        assert!(matches!(Gate::from(fence()), Gate::Fence(_)));
        assert_eq!(Gate::from(other), Gate::Foreign("fence".into()));
    }

    #[test]
    fn opening_changes_the_default_action_and_nothing_else() {
        let request = Fence(fence()).request(State::Open, "token");

        assert_eq!(
            Value::Object(request),
            json!({
                "Name": "fence", "Id": "id", "Scope": "REGIONAL", "LockToken": "token",
                "DefaultAction": {"Allow": {}},
                "Rules": [{"Name": "authorised-by-iam", "Statement": {"NewInWaf": {}}}],
                "VisibilityConfig": {"MetricName": "m"}, "TokenDomains": ["example.jp"],
            })
        );
    }

    #[test]
    fn a_member_that_is_not_known_is_named() {
        let mut fence = fence();
        fence.insert("Moat".into(), json!({}));

        assert_eq!(Fence(fence).unknown(), ["Moat"]);
    }
}
