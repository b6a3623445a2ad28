//! The import of one row of a file.

use super::{Batch, RowOutcome, Status};
use crate::cognito::import_csv::Row;
use crate::cognito::params::is_visible;
use crate::cognito::pool::PoolState;
use crate::cognito::schema::{EMAIL, PHONE, Writes, is_email, is_phone_number};
use crate::cognito::settings::{Contact, Mfa};
use crate::cognito::user::{Moment, User, UserStatus, new_sub};

impl PoolState {
    /// Imports some rows and returns the number of rows that were not imported so far; `None` if the job was told to stop.
    pub(super) fn import_rows(&mut self, id: &str, batch: Batch<'_>, at: Moment) -> Option<u64> {
        let job = self.jobs.get_mut(id)?;
        if job.status == Status::Stopping {
            return None;
        }
        job.status = Status::InProgress;
        for index in batch.rows {
            let row = match batch.broken.contains(&(index + 1)) {
                // The text is [Inf].
                true => Err("An internal error occurred.".to_owned()),
                false => batch.csv.row(index).map_err(str::to_owned),
            };
            let outcome = row
                .and_then(|row| self.import_row(&row, at))
                .unwrap_or_else(RowOutcome::Failed);
            let job = self.jobs.get_mut(id)?;
            match &outcome {
                RowOutcome::Imported => job.imported += 1,
                RowOutcome::Skipped => job.skipped += 1,
                RowOutcome::Failed(_) => job.failed += 1,
            }
            job.log.push((at.now, outcome));
            let bad = (job.skipped + job.failed) as f64;
            if batch.abort_above.is_some_and(|most| bad > most) {
                break;
            }
        }
        self.jobs.get(id).map(|job| job.skipped + job.failed)
    }

    /// Imports one row. The reasons of failures name columns, never values; texts that are not documented are `[Inf]`.
    fn import_row(&mut self, row: &Row<'_>, at: Moment) -> Result<RowOutcome, String> {
        let username = row
            .get("cognito:username")
            .ok_or("The cognito:username is missing.")?;
        // facts 1.5: "It can be any Unicode string. However, it cannot contain spaces or tabs" [D].
        if username.contains([' ', '\t'])
            || !username.chars().all(is_visible)
            || username.encode_utf16().count() > 128
        {
            return Err("The cognito:username is invalid.".to_owned());
        }
        let contact = self
            .check_username(username)
            .map_err(|refusal| refusal.message)?;
        if let Some(contact) = contact {
            let value = row.get(contact.attribute()).unwrap_or_default();
            if self.fold(value) != self.fold(username) {
                let column = contact.attribute();
                return Err(format!(
                    "[Inf] A cognito:username other than the {column} is undocumented, so this emulator refuses it."
                ));
            }
        }
        self.check_mfa_enabled(row)?;
        let sub = new_sub();
        let mut user = User::new(
            contact.is_none().then_some(username),
            UserStatus::ResetRequired,
            at.now,
        );
        user.attributes.write(&self.import_writes(row)?, true);
        self.check_import_verified(&user)?;
        if let Some(name) = self.schema.missing_required(&user.attributes).first() {
            return Err(format!("The required attribute {name} is missing."));
        }
        // facts 1.8: existing users are skipped, never updated [D]; that any name that they sign in with counts is [Inf].
        if self.holder(sub, &user).is_some() {
            return Ok(RowOutcome::Skipped);
        }
        self.put(sub, user, at);
        Ok(RowOutcome::Imported)
    }

    // facts 1.4 [D]; if MFA is optional, both values are accepted [Inf].
    fn check_mfa_enabled(&self, row: &Row<'_>) -> Result<(), String> {
        let given = row.get("cognito:mfa_enabled").map(boolean).transpose()?;
        let fits = match self.settings.mfa {
            Mfa::On => given != Some(false),
            Mfa::Off => given != Some(true),
            Mfa::Optional => true,
        };
        fits.then_some(()).ok_or_else(|| {
            "The cognito:mfa_enabled does not correspond to the user pool.".to_owned()
        })
    }

    fn import_writes(&self, row: &Row<'_>) -> Result<Writes, String> {
        let mut writes = Vec::new();
        for (column, value) in row.filled() {
            let Some(id) = self.schema.id(column) else {
                continue;
            };
            let wrong = |reason: &str| format!("The {column} is invalid: {reason}");
            let value = match column {
                "email_verified" | "phone_number_verified" => boolean(value)?.to_string(),
                // facts 1.6: mm/dd/yyyy here, YYYY-MM-DD in the pool [D].
                "birthdate" => {
                    iso_date(value).ok_or_else(|| wrong("it must be a date as mm/dd/yyyy."))?
                }
                // DG:import-tool: epoch seconds, e.g. 1471453471 [D].
                "updated_at" if !value.bytes().all(|byte| byte.is_ascii_digit()) => {
                    return Err(wrong("it must be whole epoch seconds."));
                }
                EMAIL if !is_email(value) => return Err(wrong("it must be an email address.")),
                PHONE if !is_phone_number(value) => return Err(wrong("it must be + and digits.")),
                _ => value.to_owned(),
            };
            self.schema
                .check_value(id, &value)
                .map_err(|reason| wrong(&reason))?;
            writes.push((id, value));
        }
        Ok(writes)
    }

    // facts 1.2: at least one auto-verified attribute must be true, and an attribute that is true must have a value [D].
    fn check_import_verified(&self, user: &User) -> Result<(), String> {
        self.check_verified(user)
            .map_err(|refusal| refusal.message)?;
        let verified =
            |contact: &Contact| self.schema.is_true(&user.attributes, contact.verified());
        if self.settings.auto_verified.iter().any(verified) {
            return Ok(());
        }
        let text = "The User Record does not set any of the auto verified attributes to true. \
                    (Example: email_verified to true).";
        Err(text.to_owned())
    }
}

/// Reads TRUE or true, FALSE or false.
// facts 1.3: any casing was seen to work [D, I].
fn boolean(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("A boolean must be true or false.".to_owned()),
    }
}

/// Converts mm/dd/yyyy to YYYY-MM-DD.
fn iso_date(value: &str) -> Option<String> {
    let parts: Vec<_> = value.split('/').collect();
    let [month, day, year] = parts[..] else {
        return None;
    };
    if (month.len(), day.len(), year.len()) != (2, 2, 4) {
        return None;
    }
    let date: jiff::civil::Date = format!("{year}-{month}-{day}").parse().ok()?;
    Some(date.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_dates_when_imported_then_only_the_documented_form_is_read() {
        assert_eq!(iso_date("02/01/1985").as_deref(), Some("1985-02-01"));
        for wrong in [
            "1985-02-01",
            "2/1/1985",
            "02/30/2001",
            "13/01/1985",
            "02/01/85",
            "aa/bb/cccc",
        ] {
            assert_eq!(iso_date(wrong), None, "{wrong}");
        }
        assert_eq!((boolean("TRUE"), boolean("False")), (Ok(true), Ok(false)));
        assert!(boolean("yes").is_err());
    }
}
