//! Whether the tokens of both pools contain the same claims.

use aws_sdk_cognitoidentityprovider::types::LambdaConfigType;

use crate::check::facts::PoolFacts;
use crate::check::finding::Findings;

/// Both pools must run a function before they issue a token, or neither, and it must get the same version of the event: version 1 can change
/// ID tokens only, version 2 and 3 access tokens too (DG:user-pool-lambda-pre-token-generation).
pub fn tokens(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let topic = "tokens";
    let advice = "attach your function to the secondary too, with the same version of the event; versions 2 and 3 need the plan Essentials or Plus";
    match (event_version(primary), event_version(secondary)) {
        (None, None) => findings.good(
            topic,
            "neither pool runs a function before it issues a token: access tokens do not carry the identity",
        ),
        (Some(ours), Some(theirs)) if ours == theirs => findings.good(
            topic,
            format!("both pools run a function before they issue a token ({ours})"),
        ),
        (Some(ours), Some(theirs)) => findings.wrong(
            topic,
            format!("the function that runs before a token is issued gets the event {ours} in the primary, {theirs} in the secondary"),
            advice,
        ),
        (Some(_), None) => findings.wrong(
            topic,
            "only the primary runs a function before it issues a token: tokens of the secondary lack what it adds",
            advice,
        ),
        (None, Some(_)) => findings.warn(
            topic,
            "only the secondary runs a function before it issues a token: its tokens differ from the primary's",
            "attach your function to the primary too, or remove it from the secondary",
        ),
    }
}

/// The version of the event that the pre token generation function of a pool gets; `None` without a function. `PreTokenGeneration` alone means version 1 (botocore
/// LambdaConfigType).
pub fn event_version(pool: &PoolFacts) -> Option<String> {
    let none = LambdaConfigType::builder().build();
    let triggers = pool.description.lambda_config().unwrap_or(&none);
    let config = triggers.pre_token_generation_config();
    let config = config.map(|config| config.lambda_version().as_str().to_owned());
    let plain = triggers.pre_token_generation().map(|_| "V1_0".to_owned());
    config.or(plain)
}
