//! Changes of the attributes of an existing user, by an administrator or by the person.

use serde_json::json;

use super::error::{Answer, ApiError};
use super::knobs::Millis;
use super::mail::new_code;
use super::params::{POOL_ID, Params, USERNAME};
use super::pool::PoolState;
use super::schema::Writes;
use super::settings::Contact;
use super::sign_up::{check_code, check_write_permissions};
use super::user::{Code, Moment, User};
use super::{Cognito, DAY, Inner, lock};

// DG:user-pool-settings-email-phone-verification: a code to verify an address is valid for 24 hours [D].
const VERIFICATION_LIFE: u64 = DAY;

/// Who changes attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Editor {
    /// An administrator, as with AdminUpdateUserAttributes.
    Administrator,
    /// The person, as with UpdateUserAttributes.
    Person,
}

/// An address that its new owner has not proved yet.
#[derive(Clone)]
pub(super) struct Unproved {
    contact: Contact,
    address: String,
    code: Code,
}

/// A code, and where it is sent.
pub(super) struct Message {
    contact: Contact,
    destination: String,
    code: String,
}

impl Message {
    /// The attribute whose new value gets the code.
    pub(super) fn attribute(&self) -> &'static str {
        self.contact.attribute()
    }

    pub(super) fn destination(&self) -> &str {
        &self.destination
    }
}

impl PoolState {
    /// Writes attributes of a user, and returns the messages that this sends. An empty value deletes the attribute.
    pub(super) fn edit(
        &mut self,
        sub: u128,
        given: &[(&str, &str)],
        editor: Editor,
        at: Moment,
    ) -> Result<Vec<Message>, ApiError> {
        let former = self
            .users
            .get(sub)
            .cloned()
            .ok_or_else(ApiError::user_not_found)?;
        if editor == Editor::Person {
            check_write_permissions(&self.settings.client, given)?;
        }
        let mut writes = self.schema.checked_writes(given, false)?;
        self.check_deletions(&writes)?;
        self.check_preferred_username(former.status, given)?;
        let mut user = former.clone();
        let mut messages = Vec::new();
        for contact in [Contact::Email, Contact::PhoneNumber] {
            let [address, flag] = self.ids(contact);
            let said = |id| {
                let mut latest = writes.iter().rev();
                latest
                    .find(|(written, _)| *written == id)
                    .map(|(_, value)| value.clone())
            };
            let Some(new) = said(address) else { continue };
            user.secrets_mut()
                .unproved
                .retain(|unproved| unproved.contact != contact);
            if new.is_empty() {
                // A flag without its address means nothing, so it goes with it [Inf].
                if said(flag).is_none() {
                    writes.push((flag, String::new()));
                }
                continue;
            }
            // botocore AdminUpdateUserAttributes: with the flag `true` in the same request, the address is written at once and no
            // message is sent [D]. That the flag `false` does not suppress the message is [Inf].
            if said(flag).as_deref() == Some("true") {
                continue;
            }
            let proof = Unproved {
                contact,
                address: new.clone(),
                code: Code {
                    digits: new_code(),
                    expires: at.now + VERIFICATION_LIFE,
                    proves: contact.verified(),
                },
            };
            if self.settings.verified_before_update.contains(&contact) {
                // botocore UserAttributeUpdateSettingsType: the address stays as it is until the new one is proved [D]. That an
                // address is held back even if it is the present one, and that a given flag is held back with it, is [Inf].
                writes.retain(|(id, _)| ![address, flag].contains(id));
                let holder = self
                    .users
                    .by_name(&self.fold(&new))
                    .is_some_and(|holder| holder != sub);
                // That a taken address is refused before it is proved is [Inf].
                if self.signs_in_by_contact() && holder {
                    return Err(ApiError::alias_exists(contact.attribute()));
                }
            } else if former.attributes.get(address) == Some(&new) {
                continue;
            } else {
                // DG:signing-up-users-in-your-app: a changed address becomes unverified [D]; that a code is sent to it if the pool verifies
                // that attribute is [R].
                writes.push((flag, "false".to_owned()));
                if !self.settings.auto_verified.contains(&contact) {
                    continue;
                }
            }
            messages.push(Message {
                contact,
                destination: new,
                code: proof.code.digits.clone(),
            });
            user.secrets_mut().unproved.push(proof);
        }
        user.attributes.write(&writes, true);
        self.check_verified(&user)?;
        self.check_sign_in_name(sub, &former, &user)?;
        // facts N11.11: in alias pools an administrator takes a verified address from its holder, without an error (boto3#3213); in
        // pools that sign in by an address it is AliasExistsException (aws-sdk-net#4387) [I].
        let takes = editor == Editor::Administrator && !self.signs_in_by_contact();
        self.claim_aliases(sub, &user, takes, at)?;
        user.modified = at.now;
        self.put(sub, user, at);
        Ok(messages)
    }

    /// Writes the address that the person has proved with the code that was sent to it last.
    // botocore VerifyUserAttribute: an address that somebody else has verified is AliasExistsException [D].
    pub(super) fn prove(
        &mut self,
        sub: u128,
        contact: Contact,
        at: Moment,
    ) -> Result<(), ApiError> {
        let user = self.users.get(sub).ok_or_else(ApiError::user_not_found)?;
        let mut user = user.clone();
        let unproved = &mut user.secrets_mut().unproved;
        let place = unproved
            .iter()
            .position(|unproved| unproved.contact == contact && unproved.code.expires > at.now);
        let proved = unproved.remove(place.ok_or_else(ApiError::expired_code)?);
        let [address, flag] = self.ids(contact);
        let writes = [(address, proved.address.as_str()), (flag, "true")];
        user.attributes.write(&writes, false);
        user.modified = at.now;
        self.claim_aliases(sub, &user, false, at)?;
        self.put(sub, user, at);
        Ok(())
    }

    /// Checks the code that the person has entered for a new address.
    pub(super) fn check_unproved(
        &self,
        sub: u128,
        contact: Contact,
        code: &str,
        now: Millis,
    ) -> Result<(), ApiError> {
        let user = self.users.get(sub).ok_or_else(ApiError::user_not_found)?;
        let mut unproved = user.secrets().into_iter().flat_map(|s| &s.unproved);
        let sent = unproved.find(|unproved| unproved.contact == contact);
        check_code(sent.map(|unproved| &unproved.code), code, now)?;
        Ok(())
    }

    /// The short names of an address and its flag.
    fn ids(&self, contact: Contact) -> [u8; 2] {
        [contact.attribute(), contact.verified()]
            .map(|name| self.schema.id(name).expect("a standard attribute"))
    }

    /// Rejects the deletion of a required attribute.
    // https://github.com/aws-amplify/aws-sdk-ios/issues/4251 [I].
    fn check_deletions(&self, writes: &Writes) -> Result<(), ApiError> {
        let mut deleted = writes.iter().filter(|(_, value)| value.is_empty());
        match deleted.find(|(id, _)| self.schema.is_required(*id)) {
            Some((id, _)) => Err(required(self.schema.name(*id))),
            None => Ok(()),
        }
    }

    /// Rejects the deletion of the address that somebody signs in with, if they have no other one.
    // It is not documented. That it is refused, in the words of a required attribute, is [Inf].
    fn check_sign_in_name(&self, sub: u128, former: &User, user: &User) -> Result<(), ApiError> {
        match self.settings.username_attributes.first() {
            Some(contact)
                if self.names(sub, user).is_empty() && !self.names(sub, former).is_empty() =>
            {
                Err(required(contact.attribute()))
            }
            _ => Ok(()),
        }
    }
}

fn required(name: &str) -> ApiError {
    ApiError::invalid_parameter(format!(
        "user.{name}: Required attribute cannot be deleted."
    ))
}

impl Inner {
    pub(super) fn send(&self, messages: Vec<Message>) {
        let mut mail = lock(&self.mail);
        for message in messages {
            mail.send(&message.destination, &message.code);
        }
    }

    pub(super) fn admin_update_user_attributes(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let username = p.required("Username", &USERNAME);
        let given = p.required_attributes("UserAttributes");
        p.check()?;
        let pool = self.pool(pool_id)?;
        let mut pool = lock(&pool);
        let (sub, _) = pool.must_find(username)?;
        let messages = pool.edit(sub, &given, Editor::Administrator, self.moment())?;
        self.send(messages);
        Ok(json!({}))
    }

    // An attribute that the user does not have is no error, and an empty list is none (amplify-js#12128) [I]. That the
    // deletion is refused for the same reasons as a blank value in AdminUpdateUserAttributes is [Inf].
    pub(super) fn admin_delete_user_attributes(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let username = p.required("Username", &USERNAME);
        let names = p.required_attribute_names("UserAttributeNames");
        p.check()?;
        let pool = self.pool(pool_id)?;
        let mut pool = lock(&pool);
        let (sub, _) = pool.must_find(username)?;
        let blank: Vec<_> = names.into_iter().map(|name| (name, "")).collect();
        pool.edit(sub, &blank, Editor::Administrator, self.moment())?;
        Ok(json!({}))
    }
}

/// Changes without an API call, after which no trigger runs, like the real ones.
impl Cognito {
    /// Writes attributes of a user by the rules of AdminUpdateUserAttributes or UpdateUserAttributes; an empty value deletes the
    /// attribute. A person writes with the pool's first app client.
    ///
    /// # Errors
    ///
    /// What the operation would return.
    pub fn edit_user(
        &self,
        pool_id: &str,
        username: &str,
        editor: Editor,
        attributes: &[(&str, &str)],
    ) -> Result<(), ApiError> {
        let at = self.0.moment();
        let messages = self.state(pool_id, |pool| {
            let (sub, _) = pool.must_find(username)?;
            pool.edit(sub, attributes, editor, at)
        })?;
        self.0.send(messages);
        Ok(())
    }

    /// The person enters the code that was sent to their new address, as with VerifyUserAttribute.
    ///
    /// # Errors
    ///
    /// Nothing waits for a code, the code has expired, or somebody else has the address by now.
    pub fn prove_address(
        &self,
        pool_id: &str,
        username: &str,
        contact: Contact,
    ) -> Result<(), ApiError> {
        let at = self.0.moment();
        self.state(pool_id, |pool| {
            let (sub, _) = pool.must_find(username)?;
            pool.prove(sub, contact, at)
        })
    }

    /// Disables or enables a user, as AdminDisableUser and AdminEnableUser do.
    pub fn set_enabled(&self, pool_id: &str, username: &str, enabled: bool) {
        let at = self.0.moment();
        self.state(pool_id, |pool| {
            let (sub, _) = pool.find(username).expect("a user of the pool");
            pool.enable(sub, enabled, at);
        });
    }

    /// Deletes a user, as AdminDeleteUser and DeleteUser do.
    pub fn remove_user(&self, pool_id: &str, username: &str) {
        let at = self.0.moment();
        self.state(pool_id, |pool| {
            let (sub, _) = pool.find(username).expect("a user of the pool");
            pool.remove(sub, at);
        });
    }
}
