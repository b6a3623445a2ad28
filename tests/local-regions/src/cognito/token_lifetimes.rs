//! How long the tokens of an app client are valid.

use serde_json::{Map, Value};

use super::error::ApiError;
use super::knobs::Millis;
use super::params::Params;
use super::{DAY, HOUR};

const MINUTE: Millis = HOUR / 60;

/// The settings of a client for its three kinds of tokens. By default, none is set.
#[derive(Clone, Debug, Default)]
pub struct TokenLifetimes {
    access: Setting,
    id: Setting,
    refresh: Setting,
}

/// One setting as a request gives it.
#[derive(Clone, Copy, Debug, Default)]
struct Setting {
    number: Option<u64>,
    unit: Option<Unit>,
}

/// Of TokenValidityUnits.
#[derive(Clone, Copy, Debug)]
enum Unit {
    Seconds,
    Minutes,
    Hours,
    Days,
}

impl Unit {
    const ALL: [Self; 4] = [Self::Seconds, Self::Minutes, Self::Hours, Self::Days];

    fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Minutes => "minutes",
            Self::Hours => "hours",
            Self::Days => "days",
        }
    }

    fn millis(self) -> Millis {
        match self {
            Self::Seconds => 1_000,
            Self::Minutes => MINUTE,
            Self::Hours => HOUR,
            Self::Days => DAY,
        }
    }
}

impl Setting {
    // That a unit without a number counts the default number is [Inf].
    fn or(self, number: u64, unit: Unit) -> Millis {
        self.number.unwrap_or(number) * self.unit.unwrap_or(unit).millis()
    }
}

impl TokenLifetimes {
    /// Reads the settings of a request that creates a client.
    // botocore CreateUserPoolClient: the bounds of the numbers, whatever their unit [D].
    pub(super) fn read(p: &mut Params<'_>) -> Result<Self, ApiError> {
        let mut lifetimes = Self::default();
        lifetimes.access.number = p.number("AccessTokenValidity", 1, 86_400);
        lifetimes.id.number = p.number("IdTokenValidity", 1, 86_400);
        // botocore CreateUserPoolClient: "You can't set RefreshTokenValidity to 0. If you do, Amazon Cognito overrides the value" [D].
        let refresh = p.number("RefreshTokenValidity", 0, 315_360_000);
        lifetimes.refresh.number = refresh.filter(|number| *number > 0);
        if let Some(units) = p.structure("TokenValidityUnits") {
            let mut p = Params::new(units);
            let known = Unit::ALL.map(Unit::as_str);
            let mut unit = |name| {
                let word = p.word(name, &known);
                Unit::ALL
                    .into_iter()
                    .find(|unit| word == Some(unit.as_str()))
            };
            lifetimes.access.unit = unit("AccessToken");
            lifetimes.id.unit = unit("IdToken");
            lifetimes.refresh.unit = unit("RefreshToken");
            p.check()?;
        }
        Ok(lifetimes)
    }

    /// Rejects lifetimes that no client can have.
    // botocore TokenValidityUnitsType: the ranges [D]. The text: terraform-provider-aws#32504 [I].
    pub(super) fn check(&self) -> Result<(), ApiError> {
        let short = 5 * MINUTE..=DAY;
        let long = HOUR..=3_650 * DAY;
        let longest = self.access().max(self.id());
        // aws-cdk `user-pool-client.ts`: an access or ID token cannot be valid for longer than the refresh token [I]; that Cognito has
        // the same error for it is [Inf].
        match short.contains(&self.access())
            && short.contains(&self.id())
            && long.contains(&self.refresh())
            && longest <= self.refresh()
        {
            true => Ok(()),
            false => Err(ApiError::invalid_parameter(
                "Invalid range for token validity.",
            )),
        }
    }

    // botocore CreateUserPoolClient: one hour, one hour and 30 days; the units are hours, hours and days [D].

    /// How long an access token is valid.
    pub(super) fn access(&self) -> Millis {
        self.access.or(1, Unit::Hours)
    }

    /// How long an ID token is valid.
    pub(super) fn id(&self) -> Millis {
        self.id.or(1, Unit::Hours)
    }

    /// How long a sign-in can be renewed.
    pub(super) fn refresh(&self) -> Millis {
        self.refresh.or(30, Unit::Days)
    }

    /// The members of UserPoolClientType.
    pub(super) fn describe(&self) -> Map<String, Value> {
        let mut described = Map::new();
        let mut units = Map::new();
        // cognito-local#220: where no unit was given, Cognito returns the default one [I]. That only RefreshTokenValidity has a default
        // number here is [Inf].
        for (setting, number, unit, default) in [
            (
                self.access,
                "AccessTokenValidity",
                "AccessToken",
                Unit::Hours,
            ),
            (self.id, "IdTokenValidity", "IdToken", Unit::Hours),
            (
                self.refresh,
                "RefreshTokenValidity",
                "RefreshToken",
                Unit::Days,
            ),
        ] {
            described.extend(
                setting
                    .number
                    .map(|value| (number.to_owned(), value.into())),
            );
            let word = setting.unit.unwrap_or(default).as_str();
            units.insert(unit.to_owned(), word.into());
        }
        described.entry("RefreshTokenValidity").or_insert(30.into());
        described.insert("TokenValidityUnits".to_owned(), units.into());
        described
    }
}
