//! The emails and text messages that Cognito sends to people.

use std::collections::HashMap;

use serde_json::{Value, json};

/// The messages of one region.
#[derive(Default)]
pub(super) struct Mail {
    sent: usize,
    codes: HashMap<String, Vec<String>>,
}

impl Mail {
    /// Delivers a code or a temporary password.
    pub(super) fn send(&mut self, destination: &str, code: &str) {
        self.sent += 1;
        self.codes
            .entry(destination.to_owned())
            .or_default()
            .push(code.to_owned());
    }

    pub(super) fn sent(&self) -> usize {
        self.sent
    }

    pub(super) fn codes(&self, destination: &str) -> Vec<String> {
        self.codes.get(destination).cloned().unwrap_or_default()
    }
}

/// A new random verification code.
pub(super) fn new_code() -> String {
    format!("{:06}", rand::random::<u32>() % 1_000_000)
}

/// `CodeDeliveryDetails`, with the destination masked as Cognito does it.
pub(super) fn delivery(attribute: &str, destination: &str) -> Value {
    let medium = if attribute == "email" { "EMAIL" } else { "SMS" };
    json!({"Destination": hidden(destination), "DeliveryMedium": medium, "AttributeName": attribute})
}

fn hidden(destination: &str) -> String {
    let first = |text: &str| text.chars().next().map(String::from).unwrap_or_default();
    match destination.split_once('@') {
        Some((local, domain)) => format!("{}***@{}***", first(local), first(domain)),
        None => {
            let digits: Vec<char> = destination.chars().collect();
            let (covered, shown) = digits.split_at(digits.len().saturating_sub(4));
            let shown: String = shown.iter().collect();
            format!("+{}{shown}", "*".repeat(covered.len().saturating_sub(1)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_destinations_when_told_back_then_most_of_them_is_hidden() {
        assert_eq!(hidden("taro@example.jp"), "t***@e***");
        assert_eq!(hidden("+819012345678"), "+********5678");
    }
}
