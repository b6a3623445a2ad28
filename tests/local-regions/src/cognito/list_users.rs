//! ListUsers: its pages, tokens, filters and delay. The listings of groups have the same pages and tokens.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::error::{Answer, ApiError};
use super::knobs::Pages;
use super::params::{FILTER, PAGE_TOKEN, POOL_ID, Params};
use super::pool::PoolState;
use super::schema::SUB;
use super::user::{User, sub_text};
use super::{HOUR, Inner, lock};

// botocore QueryLimitType [D].
pub(super) const LONGEST_PAGE: u64 = 60;

/// A filter: one attribute, `=` or `^=`, a value.
#[derive(Debug, PartialEq)]
struct Filter {
    attribute: String,
    prefix: bool,
    value: String,
}

// botocore ListUsers, Filter [D].
const SEARCHABLE: [&str; 10] = [
    "username",
    "email",
    "phone_number",
    "name",
    "given_name",
    "family_name",
    "preferred_username",
    "cognito:user_status",
    "status",
    SUB,
];

impl Filter {
    /// Reads `attribute = "value"` or `attribute ^= "value"`. The texts of the errors are `[Inf]`.
    fn parse(text: &str) -> Result<Self, ApiError> {
        let malformed = || ApiError::invalid_parameter("Error while parsing filter.");
        let (attribute, rest) = text.split_once('=').ok_or_else(malformed)?;
        let (attribute, prefix) = match attribute.strip_suffix('^') {
            Some(attribute) => (attribute.trim(), true),
            None => (attribute.trim(), false),
        };
        let quoted = rest
            .trim()
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        let mut value = String::new();
        let mut chars = quoted.ok_or_else(malformed)?.chars();
        while let Some(c) = chars.next() {
            match c {
                // botocore ListUsers: quotation marks "must be escaped using the backslash" [D].
                '\\' => value.push(chars.next().ok_or_else(malformed)?),
                '"' => return Err(malformed()),
                c => value.push(c),
            }
        }
        if attribute.is_empty() {
            return Err(malformed());
        }
        if !SEARCHABLE.contains(&attribute) {
            return Err(ApiError::invalid_parameter(format!(
                "Attribute {attribute} is not searchable."
            )));
        }
        Ok(Self {
            attribute: attribute.to_owned(),
            prefix,
            value,
        })
    }

    /// The range of users that can match: by the first digits of `sub`, or all users.
    fn range(&self) -> RangeInclusive<u128> {
        let digits: String = self.value.chars().filter(|&c| c != '-').collect();
        let number = u128::from_str_radix(&digits, 16);
        match number {
            Ok(number) if self.attribute == SUB && digits.len() <= 32 => {
                let open = 128 - 4 * digits.len() as u32;
                let rest = 1_u128.checked_shl(open).map_or(u128::MAX, |end| end - 1);
                let first = number.checked_shl(open).unwrap_or_default();
                first..=first | rest
            }
            _ => 0..=u128::MAX,
        }
    }

    fn matches(&self, pool: &PoolState, sub: u128, user: &User) -> bool {
        let name;
        let actual = match self.attribute.as_str() {
            SUB => {
                name = sub_text(sub);
                &name
            }
            "username" => {
                name = user.name(sub);
                &name
            }
            "cognito:user_status" => user.status.as_str(),
            "status" if user.enabled => "Enabled",
            "status" => "Disabled",
            attribute => match pool.schema.value(&user.attributes, attribute) {
                Some(value) => value,
                None => return false,
            },
        };
        let compare = |actual: &str, wanted: &str| match self.prefix {
            true => actual.starts_with(wanted),
            false => actual == wanted,
        };
        match self.attribute.as_str() {
            // facts 4: case-insensitive [D].
            "cognito:user_status" => compare(&actual.to_lowercase(), &self.value.to_lowercase()),
            // facts 4: username is case-sensitive [D]. In a pool that is not case-sensitive, usernames are not either [Inf].
            "email" | "preferred_username" => compare(&pool.fold(actual), &pool.fold(&self.value)),
            _ => compare(actual, &self.value),
        }
    }
}

/// The position in a chain of pages of users.
pub(super) struct Place {
    pub(super) after: Option<u128>,
    pub(super) page: u64,
}

impl Place {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.after.is_some())];
        bytes.extend(self.after.unwrap_or_default().to_be_bytes());
        bytes.extend(self.page.to_be_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (after, page) = bytes.get(1..)?.split_first_chunk()?;
        let after = u128::from_be_bytes(*after);
        Some(Self {
            after: (bytes[0] == 1).then_some(after),
            page: u64::from_be_bytes(page.try_into().ok()?),
        })
    }
}

fn invalid_token() -> ApiError {
    ApiError::invalid_parameter("Invalid pagination token given.")
}

impl Inner {
    /// A token with the position in a listing, which is valid for an hour, and only for the same request.
    pub(super) fn seal(&self, place: &[u8], request: &[&str]) -> String {
        let mut bytes = self.clock.now().to_be_bytes().to_vec();
        bytes.extend(place);
        let mac = self.seal_mac(&bytes, request);
        bytes.extend(mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position that a token was made with.
    // facts 4: a token of ListUsers is valid for one hour [D]; those of groups are assumed to be the same [Inf].
    pub(super) fn unseal(&self, token: &str, request: &[&str]) -> Result<Vec<u8>, ApiError> {
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid_token())?;
        let split = bytes.len().checked_sub(32).ok_or_else(invalid_token)?;
        let (sealed, mac) = bytes.split_at(split);
        if mac != self.seal_mac(sealed, request) {
            return Err(invalid_token());
        }
        let (issued, place) = sealed.split_first_chunk().ok_or_else(invalid_token)?;
        if u64::from_be_bytes(*issued) + HOUR <= self.clock.now() {
            return Err(invalid_token());
        }
        Ok(place.to_vec())
    }

    fn seal_mac(&self, sealed: &[u8], request: &[&str]) -> [u8; 32] {
        let request = request.iter().map(|part| part.as_bytes());
        self.mac(&[sealed].into_iter().chain(request).collect::<Vec<_>>())
    }

    /// The position that a token stands for, or the beginning.
    pub(super) fn place(&self, token: Option<&str>, request: &[&str]) -> Result<Place, ApiError> {
        match token {
            Some(token) => Place::read(&self.unseal(token, request)?).ok_or_else(invalid_token),
            None => Ok(Place {
                after: None,
                page: 0,
            }),
        }
    }

    /// How many users the page may have, and whether there is a token after the last user.
    pub(super) fn shape(&self, limit: usize, place: &Place) -> (usize, bool) {
        let dice = |seed: u64, of: u64| {
            let at = place.after.unwrap_or_default().to_be_bytes();
            let parts: [&[u8]; 3] = [&seed.to_be_bytes(), &place.page.to_be_bytes(), &at];
            roll(&parts) % of
        };
        match self.knobs.pages() {
            Pages::Full => (limit, false),
            Pages::Short { seed } => (1 + dice(seed, limit as u64) as usize, false),
            Pages::Empty { seed } => match dice(seed, 3) {
                0 => (0, true),
                _ => (
                    1 + dice(seed + 1, limit as u64) as usize,
                    dice(seed + 2, 2) == 0,
                ),
            },
        }
    }

    pub(super) fn list_users(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let wanted = p.texts("AttributesToGet");
        let limit = p.number("Limit", 0, LONGEST_PAGE);
        let token = p.optional("PaginationToken", &PAGE_TOKEN);
        let filter_text = p.optional("Filter", &FILTER).unwrap_or_default();
        p.check()?;
        let pool = self.pool(pool_id)?;
        let filter = match filter_text.trim() {
            "" => None,
            text => Some(Filter::parse(text)?),
        };
        let now = self.clock.now();
        let request = ["ListUsers", pool_id, filter_text];
        let place = self.place(token, &request)?;
        // The model allows a limit of 0; it is treated as no limit [Inf].
        let limit = limit.filter(|&limit| limit > 0).unwrap_or(LONGEST_PAGE) as usize;
        let (count, linger) = self.shape(limit, &place);
        let pool = lock(&pool);
        let range = filter.as_ref().map_or(0..=u128::MAX, Filter::range);
        let start = match place.after {
            Some(u128::MAX) => return Ok(json!({"Users": []})),
            Some(after) => (*range.start()).max(after + 1),
            None => *range.start(),
        };
        let found = pool.users.listed(start..=*range.end().max(&start), now);
        let mut found = found
            .take_while(|(sub, _)| sub <= range.end())
            .filter(|(sub, user)| {
                filter
                    .as_ref()
                    .is_none_or(|filter| filter.matches(&pool, *sub, user))
            });
        let mut users = Vec::with_capacity(count);
        let mut after = place.after;
        for (sub, user) in found.by_ref().take(count) {
            users.push(shown(&pool, sub, user, wanted.as_deref())?);
            after = Some(sub);
        }
        let more = found.next().is_some();
        let mut answer = json!({"Users": users});
        // There is an empty page with a token only before the end or directly after it, so that every chain ends.
        if more || (linger && !answer["Users"].as_array().is_none_or(Vec::is_empty)) {
            let next = Place {
                after,
                page: place.page + 1,
            };
            answer["PaginationToken"] = self.seal(&next.to_bytes(), &request).into();
        }
        Ok(answer)
    }
}

fn roll(parts: &[&[u8]]) -> u64 {
    use sha2::{Digest, Sha256};
    let digest = parts
        .iter()
        .fold(Sha256::new(), |digest, part| digest.chain_update(part))
        .finalize();
    u64::from_be_bytes(digest[..8].try_into().expect("eight bytes"))
}

fn shown(pool: &PoolState, sub: u128, user: &User, wanted: Option<&[&str]>) -> Answer {
    let mut shown = pool.user_type(sub, user);
    if let Some(wanted) = wanted {
        let all = pool.attribute_list(sub, user);
        let pick = |name: &&str| {
            all.iter()
                .find(|attribute| attribute["Name"] == **name)
                .cloned()
        };
        let picked: Option<Vec<Value>> = wanted.iter().map(pick).collect();
        // facts 4: an error if a user lacks one of them [D]; the text is [Inf].
        let lacking =
            || ApiError::invalid_parameter("One or more requested attributes do not exist.");
        shown["Attributes"] = picked.ok_or_else(lacking)?.into();
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_filters_when_parsed_then_only_documented_ones_pass() {
        let filter = Filter::parse(r#"sub ^= "a""#).expect("a filter");
        assert!(filter.prefix && filter.value == "a");
        let filter = Filter::parse(r#"name="say \"hi\"""#).expect("a filter");
        assert_eq!(filter.value, r#"say "hi""#);
        for wrong in [
            "sub",
            "sub ^= a",
            r#"= "a""#,
            r#"name = "a" and email = "b""#,
            r#"name = "a"b""#,
        ] {
            assert!(Filter::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Filter::parse(r#"custom:tenant = "a""#).is_err());
        assert!(Filter::parse(r#"address = "a""#).is_err());
    }

    #[test]
    fn given_sub_filters_when_ranged_then_they_cover_just_their_digits() {
        let range = |text: &str| Filter::parse(text).expect("a filter").range();
        let a = range(r#"sub ^= "a""#);
        assert_eq!((*a.start() >> 124, *a.end() >> 124), (0xa, 0xa));
        assert_eq!(a.end() - a.start(), (1_u128 << 124) - 1);
        let whole = "a1b2c3d4-0000-4000-8000-000000000001";
        let one = range(&format!(r#"sub = "{whole}""#));
        assert_eq!(one.start(), one.end());
        assert_eq!(range(r#"sub ^= """#), 0..=u128::MAX);
        assert_eq!(range(r#"name ^= "a""#), 0..=u128::MAX);
    }
}
