//! Faults that a test injects into a region: for a service or one operation, and from which call on.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;

/// A service of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Amazon Cognito user pools.
    Cognito,
    /// Amazon S3.
    S3,
    /// Amazon CloudWatch Logs.
    Logs,
    /// AWS WAF.
    Waf,
    /// AWS CloudFormation.
    CloudFormation,
}

impl Service {
    /// All services of a region.
    pub const ALL: [Self; 5] = [
        Self::Cognito,
        Self::S3,
        Self::Logs,
        Self::Waf,
        Self::CloudFormation,
    ];

    /// The service's name in the credential scope of a signature, and before the colon in a permission.
    pub fn signing_name(self) -> &'static str {
        match self {
            Self::Cognito => "cognito-idp",
            Self::S3 => "s3",
            Self::Logs => "logs",
            Self::Waf => "wafv2",
            Self::CloudFormation => "cloudformation",
        }
    }
}

/// How a call goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request is accepted and never answered.
    Hang,
    /// The connection is reset at once, and the request is not served.
    Refuse,
    /// The service's throttling error: `TooManyRequestsException`, `ThrottlingException`, or `SlowDown` of S3.
    Throttle,
    /// The request is served, and the connection is reset in the middle of the response.
    Reset,
    /// The request is not served, and the response is 200 with an HTML page instead of what a client expects.
    Rubbish,
    /// The request is not served, and the response is 200 with this JSON body.
    Answer(Value),
    /// The request is not served, and the response is this error.
    Error {
        /// The HTTP status.
        status: u16,
        /// The error's code.
        code: String,
        /// The error's message.
        message: String,
    },
    /// The request is served after this delay.
    Delay(Duration),
}

impl Kind {
    /// An error whose message does not matter.
    pub fn error(status: u16, code: &str) -> Self {
        Self::Error {
            status,
            code: code.to_owned(),
            message: "no".to_owned(),
        }
    }
}

/// A fault, and the calls that it affects.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The service that fails.
    pub service: Service,
    /// The operation that fails; `None` means every operation.
    pub operation: Option<String>,
    /// How it fails.
    pub kind: Kind,
    /// How many calls fail; `None` means all of them.
    pub times: Option<usize>,
    /// How many matching calls succeed before the first one fails.
    pub after: usize,
}

impl Fault {
    /// A fault that affects every call to a service from now on.
    pub fn of(service: Service, kind: Kind) -> Self {
        Self {
            service,
            operation: None,
            kind,
            times: None,
            after: 0,
        }
    }

    /// A fault that affects every call of one operation from now on.
    pub fn on(service: Service, operation: &str, kind: Kind) -> Self {
        Self {
            operation: Some(operation.to_owned()),
            ..Self::of(service, kind)
        }
    }

    /// The same fault, for this number of calls only.
    pub fn times(self, times: usize) -> Self {
        Self {
            times: Some(times),
            ..self
        }
    }

    /// The same fault, after this number of matching calls has succeeded.
    pub fn after(self, after: usize) -> Self {
        Self { after, ..self }
    }
}

/// The faults of one region.
#[derive(Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    /// Adds a fault. If several faults match a call, the one that was added first applies.
    pub fn add(&self, fault: Fault) {
        self.list().push(fault);
    }

    /// Removes all faults.
    pub fn clear(&self) {
        self.list().clear();
    }

    /// Returns the fault that applies to a call, and counts the call.
    pub(crate) fn meet(&self, service: Service, operation: &str) -> Option<Kind> {
        let mut faults = self.list();
        let matching = faults.iter_mut().filter(|fault| {
            fault.service == service
                && fault.times != Some(0)
                && fault.operation.as_deref().is_none_or(|o| o == operation)
        });
        for fault in matching {
            if fault.after > 0 {
                fault.after -= 1;
            } else {
                fault.times = fault.times.map(|times| times - 1);
                return Some(fault.kind.clone());
            }
        }
        None
    }

    fn list(&self) -> std::sync::MutexGuard<'_, Vec<Fault>> {
        self.0
            .lock()
            .expect("no thread panicked while it held the lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_begins_after_the_given_calls_and_ends() {
        let faults = Faults::default();
        faults.add(
            Fault::on(Service::S3, "PutObject", Kind::Hang)
                .after(1)
                .times(2),
        );

        let met: Vec<_> = (0..4)
            .map(|_| faults.meet(Service::S3, "PutObject").is_some())
            .collect();

        assert_eq!(met, [false, true, true, false]);
    }

    #[test]
    fn a_fault_does_not_affect_other_operations_and_services() {
        let faults = Faults::default();
        faults.add(Fault::on(Service::S3, "PutObject", Kind::Hang));
        faults.add(Fault::of(Service::Cognito, Kind::Refuse));

        assert_eq!(faults.meet(Service::S3, "GetObject"), None);
        assert_eq!(faults.meet(Service::S3, "PutObject"), Some(Kind::Hang));
        assert_eq!(faults.meet(Service::Cognito, "SignUp"), Some(Kind::Refuse));
    }
}
