//! What goes wrong in a region, on purpose: by service, by operation, and from which call on.

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
}

impl Service {
    /// All that a region has.
    pub const ALL: [Self; 4] = [Self::Cognito, Self::S3, Self::Logs, Self::Waf];

    /// Its name in the credential scope of a signature, and before the colon of a permission.
    pub fn signing_name(self) -> &'static str {
        match self {
            Self::Cognito => "cognito-idp",
            Self::S3 => "s3",
            Self::Logs => "logs",
            Self::Waf => "wafv2",
        }
    }
}

/// How a call goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request is taken and never answered.
    Hang,
    /// The connection is reset at once; nothing is done.
    Refuse,
    /// The service is asked for too much: `TooManyRequestsException`, or S3's `SlowDown`.
    Throttle,
    /// The request is served, and the connection reset in the middle of the answer.
    Reset,
    /// Nothing is done, and the answer is 200 with a body that no client expects.
    Rubbish,
    /// Nothing is done, and the answer is 200 with this body, as JSON.
    Answer(Value),
    /// Nothing is done, and the answer is this error.
    Error {
        /// The HTTP status.
        status: u16,
        /// The error's code.
        code: String,
        /// The error's message.
        message: String,
    },
    /// The request is served after a while.
    Delay(Duration),
}

/// A fault and the calls that meet it.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The service that fails.
    pub service: Service,
    /// The operation that fails; every one when absent.
    pub operation: Option<String>,
    /// How it fails.
    pub kind: Kind,
    /// How often; for ever when absent.
    pub times: Option<usize>,
    /// How many matching calls go well before.
    pub after: usize,
}

impl Fault {
    /// A fault of every call to a service, from now on.
    pub fn of(service: Service, kind: Kind) -> Self {
        Self {
            service,
            operation: None,
            kind,
            times: None,
            after: 0,
        }
    }

    /// The same for one operation only.
    pub fn on(service: Service, operation: &str, kind: Kind) -> Self {
        Self {
            operation: Some(operation.to_owned()),
            ..Self::of(service, kind)
        }
    }

    /// The same, but only so often.
    pub fn times(self, times: usize) -> Self {
        Self {
            times: Some(times),
            ..self
        }
    }

    /// The same, but not before so many matching calls.
    pub fn after(self, after: usize) -> Self {
        Self { after, ..self }
    }
}

/// The faults of one region.
#[derive(Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    /// Adds a fault. Where several match a call, the one added first is met.
    pub fn add(&self, fault: Fault) {
        self.list().push(fault);
    }

    /// Ends all faults.
    pub fn clear(&self) {
        self.list().clear();
    }

    /// What a call meets.
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
        self.0.lock().expect("not poisoned")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_waits_for_its_turn_and_ends() {
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
    fn a_fault_leaves_other_operations_and_services_alone() {
        let faults = Faults::default();
        faults.add(Fault::on(Service::S3, "PutObject", Kind::Hang));
        faults.add(Fault::of(Service::Cognito, Kind::Refuse));

        assert_eq!(faults.meet(Service::S3, "GetObject"), None);
        assert_eq!(faults.meet(Service::S3, "PutObject"), Some(Kind::Hang));
        assert_eq!(faults.meet(Service::Cognito, "SignUp"), Some(Kind::Refuse));
    }
}
