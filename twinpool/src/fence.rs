//! `twinpool fence`: opens and closes the web ACL that protects the secondary pool. `cdk/lib/fence.ts` creates it.

use std::fmt;

use aws_sdk_cognitoidentityprovider as cognito;
use aws_sdk_wafv2::Client;
use aws_sdk_wafv2::types::Scope;
use serde::Serialize;
use serde_json::{Value, json};
use shared::aws::{AwsError, RetryPolicy, Sdk};
use shared::pool_id::PoolId;

use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::raw::{self, Object, RawAnswer};
use crate::terminal::{GOOD, WARN};

/// Open or close the fence of the secondary pool, or show its state
///
/// The fence is an AWS WAF web ACL. When it is closed, as on a normal day, only operations that Cognito authorises by IAM get
/// through. When it is open, as in a failover, every operation gets through. The command changes the default action of the web ACL and
/// nothing else. A change takes seconds to minutes to take effect everywhere.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// What to do.
    #[arg(value_enum)]
    action: Action,

    /// The pool that the fence protects.
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
  1  the pool has no fence, or the fence cannot be changed safely
  2  bad usage
  3  AWS refused or did not answer

Permissions: cognito-idp:DescribeUserPool, cognito-idp:GetWebACLForResource, wafv2:GetWebACLForResource, wafv2:GetWebACL,
and to open or close it wafv2:UpdateWebACL";

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Action {
    /// Let every operation through: users can sign in, sign up and reset their passwords.
    Open,
    /// Let only those operations through that Cognito authorises by IAM.
    Close,
    /// Show the state of the fence, and change nothing.
    Status,
}

/// State of a fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Only operations that Cognito authorises by IAM get through.
    Closed,
    /// Every operation gets through.
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

/// The web ACL that protects a pool, if any.
#[derive(Clone, Debug, PartialEq)]
pub enum Gate {
    /// No web ACL.
    None,
    /// A web ACL that is not twinpool's, by its name.
    Foreign(String),
    /// twinpool's fence.
    Fence(Fence),
}

/// Name of the rule that identifies the fence, as `cdk/lib/fence.ts` sets it.
const FENCE_RULE: &str = "authorised-by-iam";

/// Members that GetWebACL returns and UpdateWebACL does not accept (botocore 1.44.5: WebACL less UpdateWebACLRequest).
const READ_ONLY: [&str; 7] = [
    "ARN",
    "Capacity",
    "LabelNamespace",
    "ManagedByFirewallManager",
    "PostProcessFirewallManagerRuleGroups",
    "PreProcessFirewallManagerRuleGroups",
    "RetrofittedByFirewallManager",
];

/// Members that UpdateWebACL accepts (botocore 1.44.5: UpdateWebACLRequest).
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
    /// Reads the web ACL of the pool with this ARN.
    ///
    /// # Errors
    ///
    /// AWS rejected the call or did not answer.
    pub async fn read(client: &Client, arn: &str) -> Result<Self, AwsError> {
        let answer = RawAnswer::default();
        client
            .get_web_acl_for_resource()
            .resource_arn(arn)
            .customize()
            .interceptor(answer.clone())
            .send()
            .await
            .map_err(|error| AwsError::from_sdk("GetWebACLForResource", arn, &error))?;
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
            .any(|rule| rule.get("Name").and_then(Value::as_str) == Some(FENCE_RULE));
        if is_fence {
            Self::Fence(acl)
        } else {
            Self::Foreign(acl.text("Name").to_owned())
        }
    }
}

/// The fence's web ACL, as GetWebACL returns it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fence(Object);

impl Fence {
    /// Whether the fence is open or closed.
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

    /// Members that this version of twinpool does not know, and so cannot write back.
    fn unknown_members(&self) -> Vec<&str> {
        let names = self.0.keys().map(String::as_str);
        names
            .filter(|name| !READ_ONLY.contains(name) && !WRITABLE.contains(name))
            .collect()
    }

    /// The request that changes the state of the fence and nothing else.
    fn update_request(&self, state: State, lock_token: &str) -> Object {
        let mut request = self.0.clone();
        request.retain(|name, _| WRITABLE.contains(&name.as_str()));
        if self.text("Description").is_empty() {
            // botocore EntityDescription: at least one character. WAF returns an empty description where there is none.
            request.remove("Description");
        }
        request.insert("DefaultAction".to_owned(), state.default_action());
        request.insert("Scope".to_owned(), Scope::Regional.as_str().into());
        request.insert("LockToken".to_owned(), lock_token.into());
        request
    }

    /// Opens or closes the fence.
    async fn set_state(&self, client: &Client, state: State) -> Result<(), Failure> {
        let (name, id) = (self.text("Name"), self.text("Id"));
        // Read again together with the lock token, so that a change made since the first read is not overwritten.
        let answer = RawAnswer::default();
        let locked = client
            .get_web_acl()
            .name(name)
            .id(id)
            .scope(Scope::Regional)
            .customize()
            .interceptor(answer.clone())
            .send()
            .await
            .map_err(|error| AwsError::from_sdk("GetWebACL", name, &error))?;
        let incomplete = |missing| AwsError::incomplete_response("GetWebACL", name, missing);
        let fence = Self(
            answer
                .object("WebACL")
                .ok_or_else(|| incomplete("a web ACL"))?,
        );
        let token = locked
            .lock_token()
            .ok_or_else(|| incomplete("a lock token"))?;
        let unknown = fence.unknown_members();
        if !unknown.is_empty() {
            return Err(Failure::Wrong(format!(
                "the web ACL {name} has settings that this version of twinpool does not know and might reset: {}; change its \
                 default action in the AWS WAF console",
                unknown.join(", ")
            )));
        }
        client
            .update_web_acl()
            .customize()
            .mutate_request(raw::with_body(fence.update_request(state, token)))
            .send()
            .await
            .map_err(|error| Failure::Explained {
                error: AwsError::from_sdk("UpdateWebACL", name, &error),
            })?;
        Ok(())
    }
}

/// A WAF client for a pool's region.
pub fn waf_client(sdk: &Sdk, pool: &PoolId, patience: RetryPolicy) -> Client {
    Client::new(&sdk.config(pool.region(), patience))
}

/// The ARN of a pool. It contains the account, so it cannot be derived from the pool id.
async fn read_arn(client: &cognito::Client, pool: &PoolId) -> Result<String, AwsError> {
    let answer = client
        .describe_user_pool()
        .user_pool_id(pool.as_str())
        .send()
        .await
        .map_err(|error| AwsError::from_sdk("DescribeUserPool", pool, &error))?;
    let arn = answer.user_pool.and_then(|pool| pool.arn);
    arn.ok_or_else(|| AwsError::incomplete_response("DescribeUserPool", pool, "an ARN"))
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
///
/// # Errors
///
/// The pool has no fence, the fence has settings that would be lost, AWS rejected a call or did not answer, there are no AWS
/// credentials, or the result cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    let Args {
        action,
        pool,
        dry_run,
    } = args;
    let sdk = context.sdk().await?;
    let arn = read_arn(&sdk.cognito(&pool, RetryPolicy::WORKER), &pool).await?;
    let client = waf_client(&sdk, &pool, RetryPolicy::WORKER);
    let fence = match Gate::read(&client, &arn).await? {
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
        match fence.set_state(&client, wanted).await {
            Err(Failure::Explained { error }) if error.code() == "WAFOptimisticLockException" => {
                // Somebody else changed the web ACL at the same time: try again from its new state.
                fence.set_state(&client, wanted).await?;
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
        "the stack of the secondary pool creates the fence: docs/deploy.md, \"What is made\"";
    Failure::Wrong(match gate {
        Gate::Foreign(name) => format!(
            "the web ACL {name} of {pool} is not the fence: it has no rule {FENCE_RULE}; it was not changed; {advice}"
        ),
        _ => format!("the pool {pool} has no fence: no web ACL is associated with it; {advice}"),
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
            write!(f, "{before}; it would be {now}, but this was a dry run")
        } else {
            write!(
                f,
                "was {before}, is now {style}{now}{style:#}; the change takes seconds to minutes to take effect everywhere"
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
    fn the_fence_is_identified_by_its_rule() {
        let mut other = fence();
        other["Rules"][0]["Name"] = "rate-limit".into();

        assert!(matches!(Gate::from(fence()), Gate::Fence(_)));
        assert_eq!(Gate::from(other), Gate::Foreign("fence".into()));
    }

    #[test]
    fn opening_changes_the_default_action_and_nothing_else() {
        let request = Fence(fence()).update_request(State::Open, "token");

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
    fn unknown_members_are_listed() {
        let mut fence = fence();
        fence.insert("Moat".into(), json!({}));

        assert_eq!(Fence(fence).unknown_members(), ["Moat"]);
    }
}
