//! `twinpool check`: what would make the night fail, found before anyone relies on the twin.

mod clients;
mod findings;
mod schema;

use std::fmt;

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::types::UserPoolClientType;
use serde::Serialize;
use shared::aws::{AwsError, Patience, Sdk};
use shared::config::CustomAttribute;
use shared::pool::PoolId;

use self::findings::{Finding, PoolFacts, Severity, findings};
use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::fence::{self, Gate};
use crate::pools::Pools;
use crate::terminal::{GOOD, WARN, WRONG};

/// Check that both pools are fit for a failover and the way back, before you rely on them
///
/// Compares the settings of both pools, their app clients, triggers and the fence, and says of everything that would fail on the
/// night what to do about it. Writes nothing.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(flatten)]
    pools: Pools,

    /// The attribute that keeps a person's first sub: originSubAttribute of the deployment.
    #[arg(long, value_name = "ATTRIBUTE", default_value = "custom:origin_sub", value_parser = custom_attribute)]
    origin_sub: CustomAttribute,
}

fn custom_attribute(name: &str) -> Result<CustomAttribute, String> {
    let not_one = |()| format!("not {}", CustomAttribute::EXPECTED);
    name.parse().map_err(not_one)
}

const HELP: &str = "\
Example:
  twinpool check --primary ap-northeast-1_AbCdEf123 --secondary ap-northeast-3_GhIjKl456

Exit codes:
  0  nothing is wrong, though there may be warnings
  1  something is wrong
  2  bad usage
  3  AWS refused or did not answer

Permissions: cognito-idp:DescribeUserPool, DescribeUserPoolClient, GetCSVHeader, GetUserPoolMfaConfig, GetWebACLForResource,
ListUserPoolClients; wafv2:GetWebACLForResource, wafv2:GetWebACL";

#[derive(Debug, Serialize)]
struct Report {
    primary: String,
    secondary: String,
    findings: Vec<Finding>,
}

/// Runs the command.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    let Pools { primary, secondary } = args.pools;
    let sdk = context.sdk().await?;
    let primary_facts = facts(&sdk, &primary).await?;
    let secondary_facts = facts(&sdk, &secondary).await?;
    let arn = secondary_facts.description.arn();
    let arn = arn.ok_or_else(|| AwsError::hollow("DescribeUserPool", &secondary, "an ARN"))?;
    let waf = fence::waf(&sdk, &secondary, Patience::WORKER);
    let gate = Gate::of(&waf, arn).await?;

    let mut findings = findings(
        &primary_facts,
        &secondary_facts,
        &gate,
        args.origin_sub.as_str(),
    );
    findings.sort_by_key(|finding| finding.severity);
    let report = Report {
        primary: primary.to_string(),
        secondary: secondary.to_string(),
        findings,
    };
    context.terminal.show(&report)?;
    Ok(match report.count(Severity::Wrong) {
        0 => Verdict::Good,
        _ => Verdict::Wrong,
    })
}

async fn facts(sdk: &Sdk, pool: &PoolId) -> Result<PoolFacts, AwsError> {
    let client = sdk.cognito(pool, Patience::WORKER);
    let id = pool.as_str();
    let described = client.describe_user_pool().user_pool_id(id).send().await;
    let described = described.map_err(|e| AwsError::of("DescribeUserPool", pool, &e))?;
    let description = described
        .user_pool
        .ok_or_else(|| AwsError::hollow("DescribeUserPool", pool, "a pool"))?;
    let mfa = client.get_user_pool_mfa_config().user_pool_id(id).send();
    let mfa = mfa.await;
    let mfa = mfa.map_err(|e| AwsError::of("GetUserPoolMfaConfig", pool, &e))?;
    let header = client.get_csv_header().user_pool_id(id).send().await;
    let header = header.map_err(|e| AwsError::of("GetCSVHeader", pool, &e))?;
    Ok(PoolFacts {
        id: pool.clone(),
        description,
        authenticator: mfa
            .software_token_mfa_configuration
            .is_some_and(|authenticator| authenticator.enabled),
        clients: clients(&client, pool).await?,
        header: header
            .csv_header
            .ok_or_else(|| AwsError::hollow("GetCSVHeader", pool, "a header"))?,
    })
}

async fn clients(client: &Client, pool: &PoolId) -> Result<Vec<UserPoolClientType>, AwsError> {
    let mut clients = Vec::new();
    let mut token = None;
    loop {
        let page = client
            .list_user_pool_clients()
            .user_pool_id(pool.as_str())
            .max_results(60)
            .set_next_token(token)
            .send()
            .await
            .map_err(|e| AwsError::of("ListUserPoolClients", pool, &e))?;
        for listed in page.user_pool_clients.unwrap_or_default() {
            let described = client
                .describe_user_pool_client()
                .user_pool_id(pool.as_str())
                .set_client_id(listed.client_id)
                .send()
                .await
                .map_err(|e| AwsError::of("DescribeUserPoolClient", pool, &e))?;
            clients.extend(described.user_pool_client);
        }
        token = page.next_token;
        if token.is_none() {
            return Ok(clients);
        }
    }
}

impl Report {
    fn count(&self, severity: Severity) -> usize {
        let of_it = self.findings.iter().filter(|f| f.severity == severity);
        of_it.count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "primary {}, secondary {}\n",
            self.primary, self.secondary
        )?;
        for finding in &self.findings {
            let (style, word) = match finding.severity {
                Severity::Wrong => (WRONG, "wrong"),
                Severity::Warn => (WARN, "warn"),
                Severity::Good => (GOOD, "good"),
            };
            let Finding { topic, what, .. } = finding;
            writeln!(f, "{style}{word:5}{style:#}  {topic:15} {what}")?;
            if let Some(advice) = finding.advice {
                writeln!(f, "{:23}-> {advice}", "")?;
            }
        }
        write!(
            f,
            "\n{} wrong, {} to know of, {} good",
            self.count(Severity::Wrong),
            self.count(Severity::Warn),
            self.count(Severity::Good)
        )
    }
}
