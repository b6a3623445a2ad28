//! `twinpool check`: finds settings of the two pools that would make a failover or the return fail, before one happens.
//!
//! `facts` reads the settings, `rules` compares them, `finding` is what a rule reports.

mod facts;
mod finding;
mod names;
mod rules;

use std::fmt;

use serde::Serialize;
use shared::aws::RetryPolicy;
use shared::environment::CustomAttribute;
use shared::s3::bucket::Bucket;
use shared::s3::json::JsonError;
use shared::snapshot::latest::Latest;
use shared::snapshot::manifest::Users;

use self::facts::PoolFacts;
use self::finding::{Finding, Severity};
use self::rules::compare_pools;
use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::pools::Pools;
use crate::terminal::{GOOD, WARN, WRONG};

/// Check that both pools are ready for a failover and for the return
///
/// Compares the settings, app clients, domains, identity providers, groups, triggers and web ACLs of both pools, and looks at the fence and the
/// latest snapshot. Lists everything that would make a failover or the return to the primary pool fail, for the users or for the application,
/// each with what to do about it. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(flatten)]
    pools: Pools,

    /// The bucket of the snapshots. Without it, nobody knows who has no verified address.
    #[arg(long, env = "TWINPOOL_BUCKET", value_name = "NAME")]
    bucket: Option<String>,

    /// The region of that bucket, if it is not the secondary pool's.
    #[arg(long, env = "TWINPOOL_BUCKET_REGION", value_name = "REGION")]
    bucket_region: Option<String>,

    /// The attribute that keeps a user's first sub: originSubAttribute of the deployment.
    #[arg(long, env = "ORIGIN_SUB_ATTRIBUTE", value_name = "ATTRIBUTE", default_value = "custom:origin_sub", value_parser = custom_attribute)]
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

Permissions, for both pools: cognito-idp:DescribeIdentityProvider, DescribeUserPool, DescribeUserPoolClient, DescribeUserPoolDomain,
GetCSVHeader, GetUserPoolMfaConfig, GetWebACLForResource, ListGroups, ListIdentityProviders, ListUserPoolClients;
wafv2:GetWebACLForResource, wafv2:GetWebACL, wafv2:ListTagsForResource;
with --bucket s3:GetObject and s3:ListBucket on the bucket, kms:Decrypt on its key";

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

    let region = args.bucket_region.as_deref();
    let region = region.unwrap_or(secondary.region());
    let snapshot = match &args.bucket {
        Some(bucket) => {
            let sdk = sdk.s3_in(region, RetryPolicy::WORKER);
            read_last_users(&Bucket::new(sdk, bucket.as_str())).await?
        }
        None => None,
    };

    let mut findings = compare_pools(
        &primary_facts,
        &secondary_facts,
        snapshot.as_ref(),
        &args.origin_sub,
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

/// How many users the latest snapshot contains; `None` if there is none.
async fn read_last_users(bucket: &Bucket) -> Result<Option<Users>, JsonError> {
    let Some((latest, _)) = Latest::read(bucket).await? else {
        return Ok(None);
    };
    let manifest = latest.read_manifest(bucket).await?;
    Ok(manifest.map(|manifest| manifest.users))
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
            if let Some(advice) = &finding.advice {
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
