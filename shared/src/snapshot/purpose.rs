//! What a snapshot is for, and who is left out of its import files because of that.

use crate::import_csv::Rejection;
use crate::person::{Person, Status};

/// What a snapshot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To bring back the people of the pool.
    Backup,
    /// To bring the people of this pool into its twin, where they are not yet.
    Fill,
}

impl Purpose {
    /// Rejects a person whom a snapshot for this purpose leaves out although an import file could hold them.
    ///
    /// An import lets everyone in who holds their mailbox, also somebody who has not taken up an administrator's invitation.
    ///
    /// # Errors
    ///
    /// Why the person is left out.
    pub fn check(self, person: &Person) -> Result<(), Rejection> {
        match self {
            Self::Fill if person.status == Status::ForceChangePassword => {
                Err(Rejection::NotActivated)
            }
            Self::Backup | Self::Fill => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::Attributes;

    #[test]
    fn an_invitation_that_nobody_took_up_is_backed_up_and_does_not_fill_the_twin() {
        let person = |status: &str| Person {
            username: "u".into(),
            status: status.into(),
            enabled: true,
            attributes: Attributes::default(),
            created_at: None,
            mfa: false,
        };
        let invited = person("FORCE_CHANGE_PASSWORD");

        assert_eq!(Purpose::Fill.check(&invited), Err(Rejection::NotActivated));
        assert_eq!(Purpose::Backup.check(&invited), Ok(()));
        assert_eq!(Purpose::Fill.check(&person("CONFIRMED")), Ok(()));
        assert_eq!(Purpose::Fill.check(&person("RESET_REQUIRED")), Ok(()));
    }
}
