//! `twinpool check`: finds settings of the two pools that would make a failover or the return fail, before one happens.
//!
//! `facts` reads the settings, `rules` compares them, `finding` is what a rule reports.

mod facts;
mod finding;
mod names;
mod rules;

use std::fmt;

use serde::Serialize;
use shared::aws::{AwsError, RetryPolicy};
use shared::environment::CustomAttribute;

use self::facts::PoolFacts;
use self::finding::{Finding, Severity};
use self::rules::compare_pools;
use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::fence::{self, Gate};
use crate::pools::Pools;
use crate::terminal::{GOOD, WARN, WRONG};

/// Check that both pools are ready for a failover and for the return
///
/// Compares the settings, app clients and triggers of both pools, and looks at the fence. Lists everything that would make a
/// failover or the return to the primary pool fail, each with what to do about it. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(flatten)]
    pools: Pools,

    /// The attribute that keeps a user's first sub: originSubAttribute of the deployment.
    #[arg(long, value_name = "ATTRIBUTE", default_value = "custom:origin_sub", value_parser = custom_attribute)]
    origin_sub: CustomAttribute,
}

fn custom_attribute(name: &str) -> Result<CustomAttribute, String> {
    let rejected = |()| format!("not {}", CustomAttribute::EXPECTED);
    name.parse().map_err(rejected)
}

const HELP: &str = "\
Example:
  twinpool check --primary ap-northeast-1_AbCdEf123 --secondary ap-northeast-3_GhIjKl456

Exit codes:
  0  nothing is wrong; there may be warnings
  1  something is wrong
  2  bad usage
  3  AWS refused or did not answer

Permissions: cognito-idp:DescribeUserPool, DescribeUserPoolClient, GetCSVHeader, GetUserPoolMfaConfig, GetWebACLForResource,
ListUserPoolClients; wafv2:GetWebACLForResource, wafv2:ListTagsForResource";

#[derive(Debug, Serialize)]
struct Report {
    primary: String,
    secondary: String,
    findings: Vec<Finding>,
}

/// Runs the command.
///
/// # Errors
///
/// There are no AWS credentials, AWS rejected a call or did not answer, or the result cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    let Pools { primary, secondary } = args.pools;
    let sdk = context.sdk().await?;
    let primary_facts = PoolFacts::read(&sdk, &primary).await?;
    let secondary_facts = PoolFacts::read(&sdk, &secondary).await?;
    let arn = secondary_facts.description.arn();
    let arn =
        arn.ok_or_else(|| AwsError::incomplete_response("DescribeUserPool", &secondary, "an ARN"))?;
    let waf = fence::waf_client(&sdk, &secondary, RetryPolicy::WORKER);
    let gate = Gate::read(&waf, arn).await?;

    let mut findings = compare_pools(
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

impl Report {
    fn count(&self, severity: Severity) -> usize {
        let findings = self.findings.iter();
        findings.filter(|f| f.severity == severity).count()
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
            "\n{} wrong, {} warnings, {} good",
            self.count(Severity::Wrong),
            self.count(Severity::Warn),
            self.count(Severity::Good)
        )
    }
}
