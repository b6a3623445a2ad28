//! Whether the pools can send the codes that a failover and a restore need.

use aws_sdk_cognitoidentityprovider::types::{EmailSendingAccountType, VerifiedAttributeType};

use crate::check::facts::PoolFacts;
use crate::check::finding::{Findings, Severity};

/// The secondary pool must send mail through Amazon SES, outside the primary region; the primary pool should use SES too.
pub fn mail(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let topic = "mail";
    // DG:quotas: 50 messages a day and account with Cognito's own sender.
    for (severity, name, pool, consequence) in [
        (
            Severity::Warn,
            "primary",
            primary,
            "every restored user resets a password by mail",
        ),
        (
            Severity::Wrong,
            "secondary",
            secondary,
            "in a failover every user resets a password by mail",
        ),
    ] {
        if !pool.verifies(&VerifiedAttributeType::Email) {
            continue;
        }
        let mail = pool.description.email_configuration();
        let sender = mail.and_then(|mail| mail.email_sending_account());
        if sender == Some(&EmailSendingAccountType::Developer) {
            let identity = mail.and_then(|mail| mail.source_arn()).unwrap_or_default();
            let is_lost_with_primary =
                name == "secondary" && identity.split(':').nth(3) == Some(primary.id.region());
            if is_lost_with_primary {
                findings.wrong(
                    topic,
                    "the secondary sends through Amazon SES in the primary's region, and cannot send when that region is lost",
                    "verify the sender in SES of another region, and name that identity in the pool's email settings",
                );
            } else {
                findings.good(topic, format!("the {name} sends through Amazon SES"));
            }
        } else {
            findings.problem(
                severity,
                topic,
                format!("the {name} uses Cognito's own sender, which stops at 50 mails a day: {consequence}"),
                "connect the pool to Amazon SES: Cognito console › Authentication methods › Email",
            );
        }
    }
}

/// A pool that verifies phone numbers must be able to send text messages.
pub fn text_messages(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let topic = "text messages";
    for (name, pool) in [("primary", primary), ("secondary", secondary)] {
        if !pool.verifies(&VerifiedAttributeType::PhoneNumber) {
            continue;
        }
        if pool.description.sms_configuration().is_some() {
            findings.good(topic, format!("the {name} can send them"));
        } else {
            findings.wrong(
                topic,
                format!("the {name} verifies phone numbers but cannot send text messages"),
                "configure SMS for the pool: Cognito console › Authentication methods › SMS",
            );
        }
    }
}
